import { RevisionWire } from '@mqtt2go/plugin-api';
import {
  type ActivationInbound,
  type BrokerData,
  type BrokerMoved,
  defaultBrokerPort,
  encodeMessage,
  type HomeInbound,
  headOf,
  type Inbound,
  messageLimits,
  messages,
  Mqtt2goError,
  type OnboardingProgress,
  type Outbound,
  type Publication,
  parseJson,
  type Reading,
  type ReplyPath,
  readMessageJson,
  type SentValue,
  toMqtt2goError,
  topicMatches,
  toUnixSeconds,
  topics,
} from '@mqtt2go/protocol';

type Kind = Inbound['kind'];
/** Reads a parsed message under a command type, or throws a Mqtt2goError. */
interface Command<M extends Inbound> {
  readonly kind: M['kind'];
  readonly types: readonly string[];
  read(json: unknown): M;
}

/** How the standard calls each command. */
const commandTypes = {
  'activate-device': messages.activateDevice.envelope.names,
  'rename-device': messages.renameDevice.envelope.names,
  'get-device-topics': messages.getDeviceTopics.envelope.names,
  'renew-certificate': messages.renewCertificate.envelope.names,
  'get-broker-data': messages.getBrokerData.envelope.names,
  'get-credentials': messages.getCredentials.envelope.names,
  'get-wifi-credentials': messages.getWifiCredentials.envelope.names,
} as const satisfies Record<Kind, readonly string[]>;

/**
 * Rev 1.0 of the standard, with what Rev 1.1 and 1.2 add to it: their messages are read, and an answer goes
 * out in the form that its topic is of. Commands and reports share their topics, so that all reports, our own
 * among them, are ignored: an error report that was answered would be answered for ever.
 */
export class Revision1Wire extends RevisionWire {
  override readonly revision = '1.0';
  override readonly homeFilters = [
    ...topics.addDevice.filters(),
    ...topics.deviceTopics.filters(),
    ...topics.deviceTopic.filters(),
  ];
  override readonly activationFilters = [...topics.activation.filters(), ...topics.wifi.filters()];

  override readHome(topic: string, payload: Uint8Array): Reading<HomeInbound> {
    const reply = this.#reply(topic);
    const place = topics.addDevice.parse(topic)?.params;
    if (place) return read(payload, reply, [activateDevice(place, reply), renameDevice(place, reply)]);

    const device = (topics.deviceTopics.parse(topic) ?? topics.deviceTopic.parse(topic))?.params;
    if (device) {
      return read(payload, reply, [getDeviceTopics(device.deviceId, reply), renewCertificate(device.deviceId, reply)]);
    }
    return unreadable(topic, this.homeFilters);
  }

  override readActivation(topic: string, payload: Uint8Array): Reading<ActivationInbound> {
    const reply = this.#reply(topic);
    const activation = topics.activation.parse(topic)?.params;
    if (activation) return read(payload, reply, [getOwnCertificate(activation.activationCode, reply)]);
    const wifi = topics.wifi.parse(topic)?.params;
    if (wifi) return read(payload, reply, [getWifiCredentials(wifi.activationCode, reply)]);
    return unreadable(topic, this.activationFilters);
  }

  /** @throws Mqtt2goError if the message holds what may not be sent */
  override write(message: Outbound, to: ReplyPath, nowMs: number): Publication {
    return { topic: to.topic, payload: encode(message, to.topic, nowMs) };
  }

  override addDevicePath(homeId: string, gatewayId: string): ReplyPath {
    return this.#reply(topics.addDevice.build({ homeId, gatewayId }));
  }

  override deviceTopicsPath(deviceId: string): ReplyPath {
    return this.#reply(topics.deviceTopics.build({ deviceId }));
  }

  #reply(topic: string): ReplyPath {
    return { revision: this.revision, topic };
  }
}

function activateDevice(place: { homeId: string; gatewayId: string }, reply: ReplyPath): Command<HomeInbound> {
  return {
    kind: 'activate-device',
    types: commandTypes['activate-device'],
    read: (json) => {
      const { value } = readMessageJson('activateDevice', json);
      return {
        kind: 'activate-device',
        ...place,
        activationCode: value.activation_code,
        deviceId: value.device_id,
        ...(value.device_type === undefined ? {} : { deviceType: value.device_type }),
        reply,
      };
    },
  };
}

function renameDevice(place: { homeId: string; gatewayId: string }, reply: ReplyPath): Command<HomeInbound> {
  return {
    kind: 'rename-device',
    types: commandTypes['rename-device'],
    read: (json) => {
      const { value } = readMessageJson('renameDevice', json);
      return {
        kind: 'rename-device',
        ...place,
        deviceId: value.device_id,
        deviceName: value.device_name,
        groupIds: value.group_id,
        reply,
      };
    },
  };
}

function getDeviceTopics(deviceId: string, reply: ReplyPath): Command<HomeInbound> {
  return {
    kind: 'get-device-topics',
    types: commandTypes['get-device-topics'],
    read: (json) => {
      readMessageJson('getDeviceTopics', json);
      return { kind: 'get-device-topics', deviceId, reply };
    },
  };
}

function renewCertificate(deviceId: string, reply: ReplyPath): Command<HomeInbound> {
  return {
    kind: 'renew-certificate',
    types: commandTypes['renew-certificate'],
    read: (json) => {
      const { serial_number: serialNumber, csr } = readMessageJson('renewCertificate', json).value;
      return {
        kind: 'renew-certificate',
        deviceId,
        ...(serialNumber === undefined ? {} : { serialNumber }),
        ...(csr === undefined ? {} : { csr }),
        reply,
      };
    },
  };
}

/** At the Discovery server and at a gateway it is the same command, by different words. */
function getOwnCertificate(activationCode: string, reply: ReplyPath): Command<ActivationInbound> {
  return {
    kind: 'get-broker-data',
    types: commandTypes['get-broker-data'],
    read: (json) => {
      const atGateway = messages.getCredentials.reading.safeParse(json).data?.value;
      const { csr } = atGateway ?? readMessageJson('getBrokerData', json).value;
      const kind = atGateway ? 'get-credentials' : 'get-broker-data';
      return { kind, activationCode, ...(csr === undefined ? {} : { csr }), reply };
    },
  };
}

function getWifiCredentials(activationCode: string, reply: ReplyPath): Command<ActivationInbound> {
  return {
    kind: 'get-wifi-credentials',
    types: commandTypes['get-wifi-credentials'],
    read: (json) => {
      readMessageJson('getWifiCredentials', json);
      return { kind: 'get-wifi-credentials', activationCode, reply };
    },
  };
}

function read<M extends Inbound>(
  payload: Uint8Array,
  reply: ReplyPath,
  commands: readonly [Command<M>, ...Command<M>[]],
): Reading<M> {
  // Where a topic has one command only, even a broken message can be nothing else.
  const [{ kind: first }] = commands;
  let kind = commands.length === 1 ? first : undefined;
  try {
    const json = parseJson(payload, messageLimits.onboarding);
    const head = headOf(json);
    if (head?.type === 'report') return { outcome: 'ignored' };
    if (!head) throw new Mqtt2goError('malformed_message', 'The message is no command of the standard’s form.');
    const command = commands.find(({ types }) => types.includes(head.commandType));
    if (!command) throw new Mqtt2goError('unknown_command');
    kind = command.kind;
    return { outcome: 'message', message: command.read(json) };
  } catch (error) {
    if (beginsLikeReport(payload)) return { outcome: 'ignored' };
    return {
      outcome: 'refused',
      error: toMqtt2goError(error),
      reply,
      ...(kind === undefined ? {} : { command: kind }),
    };
  }
}

const reportStart = '{"type":"report"';

/** A report may be larger or deeper than commands may be; ours begin like this, and are not to be answered. */
function beginsLikeReport(payload: Uint8Array): boolean {
  return new TextDecoder().decode(payload.subarray(0, 64)).replaceAll(/\s/g, '').startsWith(reportStart);
}

/** A topic that the broker hands to us, but whose ids are none: nobody can be answered there. */
function unreadable(topic: string, filters: readonly string[]): Reading<never> {
  if (!filters.some((filter) => topicMatches(filter, topic))) return { outcome: 'ignored' };
  return {
    outcome: 'refused',
    error: new Mqtt2goError('invalid_identifier', 'The topic holds something that is no identifier.'),
  };
}

function encode(message: Outbound, topic: string, nowMs: number): string {
  switch (message.kind) {
    case 'broker-data':
      return encodeMessage(
        'brokerData',
        { ...brokerAddress(message), device_certificate: message.deviceCertificate },
        { nowMs },
      );
    case 'certificate-renewed':
      return encodeMessage('certificateRenewed', { device_certificate: message.deviceCertificate }, { nowMs });
    case 'broker-moved':
      return encodeMessage('brokerMoved', brokerAddress(message), { nowMs });
    // Rev 1.2 has an object here, with a user name and password that nobody needs beside the certificate. On this topic
    // nothing tells the revisions apart, and the form of Rev 1.0 is the one that both must read.
    case 'credentials':
      return encodeMessage('credentials', message.deviceCertificate, { nowMs });
    case 'wifi-credentials':
      return encodeMessage('wifiCredentials', { SSID: message.ssid, password: message.password }, { nowMs });
    case 'rename-requested':
      return encodeMessage(
        'renameRequest',
        { device_type: message.deviceType, device_id: message.deviceId },
        { nowMs },
      );
    case 'device-topics': {
      const list = [...message.topics];
      if (!isRev12(topic)) return encodeMessage('deviceTopics', list, { nowMs });
      const [only] = list;
      return encodeMessage('deviceTopic', list.length === 1 && only !== undefined ? only : list, { nowMs });
    }
    case 'onboarding-progress':
      return encodeMessage('onboardingProgress', progressOf(message), { nowMs });
    case 'command-done':
      return encodeMessage('commandDone', 'ok', { nowMs, commandName: commandName(message.command, topic) });
    case 'command-refused':
      return encodeMessage(
        'commandRefused',
        { event: 'error', reason: message.error.code },
        { nowMs, commandName: commandName(message.command, topic) },
      );
  }
}

function brokerAddress({ brokerHost, brokerPort }: BrokerData | BrokerMoved) {
  return { broker_ip: brokerHost, ...(brokerPort === defaultBrokerPort ? {} : { broker_port: brokerPort }) };
}

function progressOf({ deviceId, state, network }: OnboardingProgress): SentValue<'onboardingProgress'> {
  if (network === undefined) return { device_id: deviceId, state };
  const { method, instructions, closesAtMs, ssid } = network;
  return {
    device_id: deviceId,
    state,
    network: {
      method,
      instructions,
      closes_at: toUnixSeconds(closesAtMs),
      ...(ssid === undefined ? {} : { ssid }),
    },
  };
}

/** Rev 1.2 writes `topic` where Rev 1.0 writes `topics`; the topic tells which of them is spoken. */
function isRev12(topic: string): boolean {
  return topics.deviceTopic.parse(topic) !== undefined;
}

/** What a report on a command is named after; for a command that could not be read, its topic's last word. */
function commandName(kind: Kind | undefined, topic: string): string {
  if (kind === undefined) return topic.slice(topic.lastIndexOf('/') + 1);
  if (kind === 'get-device-topics' && isRev12(topic)) return messages.getDeviceTopic.envelope.names[0] ?? 'topic';
  return commandTypes[kind][0] ?? kind;
}
