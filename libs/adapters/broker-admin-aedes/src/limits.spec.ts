import { once } from 'node:events';
import { Collector, waitFor, Certificates, closed, subscribes } from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { rawTls } from './test-support/clients.js';
import { Stage } from './test-support/stage.js';

let certificates: Certificates;
let stage: Stage;
const own = 'home-1/gw-1/kitchen/socket';

beforeAll(async () => {
  certificates = await Certificates.create();
});
afterEach(() => stage.close());

/** True while another client of the same home gets its own messages back. */
async function goesOn(id = 'bystander'): Promise<boolean> {
  const client = await stage.connect(await stage.addDevice(id));
  return echoes(client, id);
}

async function echoes(client: MqttClient, id: string): Promise<boolean> {
  const heard = new Collector<string>();
  client.on('message', (_topic, payload) => heard.add(payload.toString()));
  await subscribes(client, `${id}/topics`);
  await client.publishAsync(`${id}/topics`, 'echo', { qos: 1 });
  return (await heard.first(1))[0] === 'echo';
}

describe('whoever goes over a limit', () => {
  it('with a payload of 1 MB loses this connection, and the others go on', async () => {
    stage = await Stage.start(certificates, 'home');
    const client = await stage.connect(await stage.addDevice('loud'));
    const isClosed = closed(client);
    client.publish(`${own}/loud`, Buffer.alloc(1024 * 1024), { qos: 1 });
    await isClosed;
    expect(stage.broker.stats().counters.packetsTooLarge).toBe(1);
    expect(await goesOn()).toBe(true);
  });

  it('with a large packet before it has said who it is is closed', async () => {
    stage = await Stage.start(certificates, 'home');
    const outcome = await stage.tryConnect({ username: 'phone-1', password: 'x'.repeat(60_000) });
    expect(outcome).toHaveProperty('refusedWith');
    expect(stage.broker.stats().counters.packetsTooLarge).toBe(1);
  });

  it('by sending too fast is slowed down, and loses nothing', async () => {
    stage = await Stage.start(certificates, 'home', {
      limits: { inboundBurstBytes: 4 * 1024, inboundBytesPerSecond: 256 * 1024 },
    });
    const client = await stage.connect(await stage.addDevice('eager'));
    const heard = new Collector<string>();
    client.on('message', (_topic, payload) => heard.add(payload.toString('utf8', 0, 3)));
    await subscribes(client, `${own}/eager`);
    for (let i = 100; i < 200; i += 1) client.publish(`${own}/eager`, `${i}${'.'.repeat(1000)}`, { qos: 1 });
    const numbers = await heard.first(100);
    expect(numbers).toEqual([...numbers].sort());
    expect(stage.broker.stats().counters.sendersSlowed).toBeGreaterThan(0);
  });

  it('by not reading is disconnected, and its publisher is not held up', async () => {
    stage = await Stage.start(certificates, 'home', { limits: { maxBufferedBytes: 64 * 1024 } });
    const app = await stage.connect(await stage.addController('app'));
    const sleeper = await stage.connect(await stage.addDevice('frozen'));
    await subscribes(sleeper, `${own}/frozen`);
    sleeper.stream.pause();
    sleeper.stream.removeAllListeners('data');
    const isThrough = (async () => {
      while (stage.broker.stats().counters.slowReadersClosed === 0) {
        await app.publishAsync(`${own}/frozen`, Buffer.alloc(100_000), { qos: 1 });
      }
    })();
    await isThrough;
    expect(await echoes(await stage.connect(await stage.addDevice('awake')), 'awake')).toBe(true);
  });

  it('by the number of its subscriptions gets no more of them', async () => {
    stage = await Stage.start(certificates, 'home', { limits: { maxSubscriptionsPerClient: 3 } });
    const app = await stage.connect(await stage.addController('collector'));
    const granted: boolean[] = [];
    for (const name of ['a', 'b', 'c', 'd']) granted.push(await subscribes(app, `home-1/gw-1/${name}`));
    expect(granted).toEqual([true, true, true, false]);
    expect(await subscribes(app, 'home-1/gw-1/a')).toBe(true);
  });

  it('by the number of sessions that are to outlive it keeps the newest', async () => {
    stage = await Stage.start(certificates, 'home');
    const credentials = await stage.addController('hoarder');
    for (let i = 0; i < 12; i += 1) {
      const app = await stage.connect({ ...credentials, clientId: `app-${i}`, clean: false });
      await subscribes(app, 'home-1/gw-1/add_device');
      await app.endAsync();
    }
    expect(stage.broker.stats().keptSessions).toBe(8);
  });
});

describe('whatever bytes come', () => {
  it.each([
    ['nothing like MQTT', Buffer.from('GET / HTTP/1.1\r\nHost: broker\r\n\r\n')],
    ['a packet without CONNECT', Buffer.from([0x30, 0x05, 0x00, 0x01, 0x61, 0x62, 0x63])],
    ['a length that never ends', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['a CONNECT cut short', Buffer.from([0x10, 0x04, 0x00, 0x04, 0x4d, 0x51])],
    [
      'a string longer than its packet',
      Buffer.from([0x10, 0x0c, 0xff, 0xff, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0]),
    ],
    ['zeros', Buffer.alloc(10_000)],
    ['ones', Buffer.alloc(10_000, 0xff)],
  ])('%s ends its connection only', async (_name, bytes) => {
    stage = await Stage.start(certificates, 'home');
    const socket = await rawTls({ port: stage.port, ca: certificates.root.certificate });
    const isClosed = once(socket, 'close');
    socket.on('error', () => undefined);
    socket.write(bytes);
    socket.resume();
    if (bytes[0] === 0x10 && bytes.length < 10) socket.end();
    await isClosed;
    expect(await goesOn()).toBe(true);
  });

  it('random ones from a device that is in end its connection only', async () => {
    stage = await Stage.start(certificates, 'home');
    const credentials = await stage.addDevice('garbled');
    for (let seed = 0; seed < 20; seed += 1) {
      const client = await stage.connect(credentials);
      const isClosed = closed(client);
      const bytes = Buffer.from(Array.from({ length: 200 }, (_unused, i) => (i * 7919 + seed * 104_729) % 251));
      client.stream.write(bytes);
      client.stream.end();
      await isClosed;
    }
    expect(await goesOn()).toBe(true);
  });

  it('topics that are none are refused, and do not end the broker', async () => {
    stage = await Stage.start(certificates, 'home');
    const credentials = await stage.addController('fuzzer');
    const app = await stage.connect(credentials);
    for (const [index, filter] of [
      'home-1/#/x',
      'home-1/a+',
      'a+',
      '+a',
      'a#',
      '',
      `home-1${'/x'.repeat(200)}`,
    ].entries()) {
      const client = await stage.connect({ ...credentials, clientId: `client-${index}` });
      const answer = new Promise((resolve) => client.stream.once('data', resolve));
      client.stream.write(subscribePacket(filter));
      await Promise.race([closed(client), answer]);
    }
    expect(await subscribes(app, 'home-1/gw-1')).toBe(true);
    expect(await subscribes(app, '$share/group/home-1/gw-1')).toBe(false);
  });
});

/** As mqtt.js would not send it. */
function subscribePacket(filter: string): Buffer {
  const body = Buffer.concat([
    Buffer.from([0, 9, filter.length >> 8, filter.length & 0xff]),
    Buffer.from(filter),
    Buffer.from([1]),
  ]);
  const length = body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7];
  return Buffer.concat([Buffer.from([0x82, ...length]), body]);
}

describe('a connection that says nothing', () => {
  it('is closed after a while', async () => {
    stage = await Stage.start(certificates, 'home', { limits: { connectTimeoutMs: 50 } });
    const socket = await rawTls({ port: stage.port, ca: certificates.root.certificate });
    socket.on('error', () => undefined);
    socket.resume();
    await once(socket, 'close');
    await waitFor(() => stage.broker.stats().connections <= 1);
  });
});
