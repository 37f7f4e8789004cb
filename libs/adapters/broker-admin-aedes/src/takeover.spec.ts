import type { Duplex } from 'node:stream';
import { Certificates, waitFor } from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import mqttPacket, { type ISubscribePacket, type Packet } from 'mqtt-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stage } from './test-support/stage.js';

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.start(await Certificates.create(), 'home');
});
afterAll(() => stage.close());

const filter = '+/+/add_device';
const clientId = 'taken-over';
const subscription: ISubscribePacket = { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: filter, qos: 1 }] };

interface Coming {
  readonly clean: boolean;
  /** Whether it subscribes with its CONNECT, before the answer, as MQTT allows (3.1.4). */
  readonly ahead?: boolean;
  /** Whether it subscribes at all. */
  readonly subscribes?: boolean;
}

/** A client of a few lines, which says what a test wants at the moment that it wants it. */
class Raw {
  readonly packets: Packet[] = [];

  private constructor(readonly stream: Duplex) {
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    parser.on('packet', (packet) => {
      this.packets.push(packet);
      if (packet.cmd === 'publish' && packet.qos === 1) this.say({ cmd: 'puback', messageId: packet.messageId });
    });
    stream.on('data', (chunk: Buffer) => parser.parse(chunk));
    stream.on('error', () => undefined);
  }

  static come({ clean, ahead = false, subscribes = true }: Coming): Raw {
    const raw = new Raw(stage.broker.connectInProcess('provisioning'));
    const connect = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean, clientId, keepalive: 0 } as const;
    if (ahead && subscribes) {
      raw.stream.write(Buffer.concat([mqttPacket.generate(connect), mqttPacket.generate(subscription)]));
    } else {
      raw.say(connect);
      if (subscribes)
        void raw.heard('connack').then(
          () => raw.say(subscription),
          () => undefined,
        );
    }
    return raw;
  }

  say(packet: Packet): void {
    this.stream.write(mqttPacket.generate(packet));
  }

  async heard(cmd: Packet['cmd']): Promise<void> {
    await waitFor(() => this.packets.some((packet) => packet.cmd === cmd), cmd);
  }

  get payloads(): string[] {
    return this.packets.flatMap((packet) => (packet.cmd === 'publish' ? [packet.payload.toString()] : []));
  }
}

let speaking: MqttClient | undefined;

async function speaker(): Promise<MqttClient> {
  speaking ??= await stage.connect({ ...(await stage.addController('speaker')), clientId: 'speaker' });
  return speaking;
}

let said = 0;

/** Says something that whoever has the id must hear; resolves when the broker has it. */
async function publish(): Promise<string> {
  said += 1;
  const controller = await speaker();
  const payload = `message ${said}`;
  await controller.publishAsync('home-1/gw-1/add_device', payload, { qos: 1 });
  return payload;
}

const ways = [true, false].flatMap((before) =>
  [true, false].flatMap((clean) => [true, false].map((ahead) => ({ before, clean, ahead }))),
);

describe('a client that takes over the session of its own id', () => {
  it.each(ways)('hears what is said after its SUBACK (before $before, clean $clean, ahead $ahead)', async (way) => {
    for (let round = 0; round < 24; round += 1) {
      const before = Raw.come({ clean: way.before });
      await before.heard('suback');
      // In some rounds the former connection breaks at the very moment, a little before or a little after.
      if (round % 4 === 1) before.stream.destroy();
      const after = Raw.come(way);
      if (round % 4 === 2) setImmediate(() => before.stream.destroy());
      if (round % 4 === 3) before.say({ cmd: 'disconnect' });
      await after.heard('suback');
      const payload = await publish();
      await waitFor(() => after.payloads.includes(payload), `${payload}, round ${round}`);
      expect({ round, isGone: before.stream.destroyed }).toEqual({ round, isGone: true });
      after.stream.destroy();
    }
  });

  it.each(ways.filter(({ clean }) => !clean))(
    'finds what was said while it was away (before $before, ahead $ahead)',
    async (way) => {
      for (let round = 0; round < 24; round += 1) {
        const before = Raw.come({ clean: way.before });
        await before.heard('suback');
        if (round % 4 === 1) before.stream.destroy();
        const after = Raw.come(way);
        if (round % 4 === 2) setImmediate(() => before.stream.destroy());
        if (round % 4 === 3) before.say({ cmd: 'disconnect' });
        await after.heard('suback');
        after.stream.destroy();
        const payload = await publish();
        const back = Raw.come({ clean: false, subscribes: false });
        await back.heard('connack');
        await waitFor(() => back.payloads.includes(payload), `${payload}, round ${round}`);
        back.stream.destroy();
      }
    },
  );

  it('is the only one of many that come at once', async () => {
    for (let round = 0; round < 20; round += 1) {
      const all = Array.from({ length: 8 }, (_unused, index) => Raw.come({ clean: index % 2 === round % 2 }));
      const open = (): Raw[] => all.filter(({ stream }) => !stream.destroyed);
      await waitFor(
        () => open().length === 1 && open()[0]?.packets.some(({ cmd }) => cmd === 'suback') === true,
        'one',
      );
      const payload = await publish();
      const [last] = open();
      await waitFor(() => last?.payloads.includes(payload) === true, payload);
      expect(all.filter((raw) => raw.payloads.includes(payload))).toHaveLength(1);
      last?.stream.destroy();
    }
  });
});

describe('a client that gives up a filter and takes it again in one breath', () => {
  it.each([true, false])('hears what is said then (clean %s)', async (clean) => {
    const raw = Raw.come({ clean });
    await raw.heard('suback');
    raw.packets.length = 0;
    const giveUp = mqttPacket.generate({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [filter] });
    raw.stream.write(Buffer.concat([giveUp, mqttPacket.generate(subscription)]));
    await raw.heard('unsuback');
    await raw.heard('suback');
    const payload = await publish();
    await waitFor(() => raw.payloads.includes(payload), payload);
    raw.stream.destroy();
  });
});
