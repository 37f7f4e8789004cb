import {
  type ErrorCode,
  encodeMessage,
  headOf,
  isErrorCode,
  Mqtt2goError,
  messageLimits,
  messages,
  parseJson,
} from '@mqtt2go/protocol';

/** Step 7, as the device understands it. */
export interface BrokerDataAnswer {
  readonly brokerHost: string;
  readonly brokerPort: number;
  /** PEM bundle. */
  readonly deviceCertificate: string;
  /** As it came. */
  readonly message: string;
}

/** The home's Wi-Fi. */
export interface WifiCredentials {
  readonly ssid: string;
  readonly password: string;
}

/** What the platform says to the device on its own topic at its home's broker. */
export type HomeAnswer =
  /** Step 12. */
  | { readonly kind: 'topics'; readonly topics: readonly string[]; readonly unixMs: number; readonly message: string }
  | { readonly kind: 'moved'; readonly host: string; readonly port: number; readonly message: string }
  | { readonly kind: 'renewed' /** PEM bundle. */; readonly deviceCertificate: string; readonly message: string }
  | { readonly kind: 'refused'; readonly command: 'topics' | 'renewal'; readonly error: Mqtt2goError };

/** Step 6. @param csr PEM PKCS#10, in the `csr` key mode */
export function writeGetBrokerData(nowMs: number, csr: string | undefined): string {
  const request = 'GET_BROKER_DATA';
  return encodeMessage('getBrokerData', csr === undefined ? request : { request, csr }, { nowMs });
}

/** As {@link writeGetBrokerData}, at a gateway in the house. */
export function writeGetCredentials(nowMs: number, csr: string | undefined): string {
  const request = 'GET_CREDENTIALS';
  return encodeMessage('getCredentials', csr === undefined ? request : { request, csr }, { nowMs });
}

/** For the home's Wi-Fi, on the guest network. */
export function writeGetWifiCredentials(nowMs: number): string {
  return encodeMessage('getWifiCredentials', 'GET_WIFI_CREDENTIALS', { nowMs });
}

/** Step 9. */
export function writeGetDeviceTopics(nowMs: number): string {
  return encodeMessage('getDeviceTopics', 'GET_DEVICE_TOPICS', { nowMs });
}

/**
 * @param serialNumber of the certificate that the device came with, upper-case hex
 * @param csr PEM PKCS#10, for another key
 */
export function writeRenewCertificate(nowMs: number, serialNumber: string, csr: string | undefined): string {
  const request = { request: 'RENEW_CERTIFICATE', serial_number: serialNumber } as const;
  return encodeMessage('renewCertificate', csr === undefined ? request : { ...request, csr }, { nowMs });
}

/** The answer to a command on one of the device's own topics. */
export function writeResponse(nowMs: number, commandName: string, value: string | Record<string, unknown>): string {
  return encodeMessage('deviceResponse', value, { nowMs, commandName, priorityLevel: 2 });
}

/** The refusal of a command on one of the device's own topics. */
export function writeRefusal(nowMs: number, commandName: string, reason: ErrorCode): string {
  return encodeMessage('deviceResponse', { event: 'error', reason }, { nowMs, commandName, priorityLevel: 2 });
}

/** The state has changed: told at once. */
export function writeStatus(nowMs: number, value: Readonly<Record<string, unknown>>): string {
  return encodeMessage('deviceStatus', { ...value }, { nowMs, commandName: 'state', priorityLevel: 3 });
}

/** The state, from time to time. */
export function writePeriodicReport(nowMs: number, value: Readonly<Record<string, unknown>>): string {
  return encodeMessage('devicePeriodicReport', { ...value }, { nowMs, commandName: 'state', priorityLevel: 5 });
}

// What a device says comes back to it on the same topic. The head tells that at a fraction of what a failed reading costs.

/** The answer to {@link writeGetBrokerData}, its refusal, or `undefined` for anything else. Never throws. */
export function readBrokerData(payload: Uint8Array): BrokerDataAnswer | Mqtt2goError | undefined {
  const json = parse(payload, 'onboarding');
  if (headOf(json)?.type !== 'report') return undefined;
  const reading = messages.brokerData.reading.safeParse(json);
  if (!reading.success) return readRefusal(json, ['mqtt_credentials']);
  const { value } = reading.data;
  return {
    brokerHost: value.broker_ip,
    brokerPort: value.broker_port,
    deviceCertificate: value.device_certificate,
    message: textOf(payload),
  };
}

/** The answer to {@link writeGetCredentials}, its refusal, or `undefined` for anything else. Never throws. */
export function readCredentials(
  payload: Uint8Array,
): Pick<BrokerDataAnswer, 'deviceCertificate' | 'message'> | Mqtt2goError | undefined {
  const json = parse(payload, 'onboarding');
  if (headOf(json)?.type !== 'report') return undefined;
  const reading = messages.credentials.reading.safeParse(json);
  if (!reading.success) return readRefusal(json, ['mqtt_credentials']);
  return { deviceCertificate: reading.data.value.cert, message: textOf(payload) };
}

/** The answer to {@link writeGetWifiCredentials}, its refusal, or `undefined` for anything else. Never throws. */
export function readWifiCredentials(payload: Uint8Array): WifiCredentials | Mqtt2goError | undefined {
  const json = parse(payload, 'onboarding');
  if (headOf(json)?.type !== 'report') return undefined;
  const reading = messages.wifiCredentials.reading.safeParse(json);
  if (!reading.success) return readRefusal(json, ['wifi', 'wifi_credentials']);
  return { ssid: reading.data.value.SSID, password: reading.data.value.password };
}

/** What came on the device's own topic; `undefined` for anything else. Never throws. */
export function readHomeAnswer(payload: Uint8Array): HomeAnswer | undefined {
  const json = parse(payload, 'onboarding');
  if (headOf(json)?.type !== 'report') return undefined;
  const topics = messages.deviceTopics.reading.safeParse(json);
  if (topics.success) {
    const { value, timestamp = 0 } = topics.data;
    return { kind: 'topics', topics: value, unixMs: timestamp * 1_000, message: textOf(payload) };
  }
  const moved = messages.brokerMoved.reading.safeParse(json);
  if (moved.success) {
    const { broker_ip: host, broker_port: port } = moved.data.value;
    return { kind: 'moved', host, port, message: textOf(payload) };
  }
  const renewed = messages.certificateRenewed.reading.safeParse(json);
  if (renewed.success) {
    const { device_certificate: deviceCertificate } = renewed.data.value;
    return { kind: 'renewed', deviceCertificate, message: textOf(payload) };
  }
  const ofTopics = readRefusal(json, ['topics', 'topic']);
  if (ofTopics !== undefined) return { kind: 'refused', command: 'topics', error: ofTopics };
  const ofRenewal = readRefusal(json, ['mqtt_credentials']);
  return ofRenewal && { kind: 'refused', command: 'renewal', error: ofRenewal };
}

/** A command to the device; `undefined` for anything else, such as its own reports. Never throws. */
export function readCommand(payload: Uint8Array): { commandType: string; value: unknown } | undefined {
  const json = parse(payload, 'device');
  if (headOf(json)?.type !== 'command') return undefined;
  const reading = messages.deviceCommand.reading.safeParse(json);
  return reading.success ? { commandType: reading.data.command_type, value: reading.data.value } : undefined;
}

function readRefusal(json: unknown, commands: readonly string[]): Mqtt2goError | undefined {
  const reading = messages.commandRefused.reading.safeParse(json);
  if (!reading.success || !commands.includes(reading.data.report_name)) return undefined;
  const { reason } = reading.data.value;
  // A platform that is newer than the device may refuse for reasons that the device has no name for.
  return isErrorCode(reason) ? new Mqtt2goError(reason) : new Mqtt2goError('internal', `Refused: ${reason}.`);
}

function parse(payload: Uint8Array, limits: keyof typeof messageLimits): unknown {
  try {
    return parseJson(payload, messageLimits[limits]);
  } catch {
    return undefined;
  }
}

function textOf(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}
