import type { BusRequest } from '@mqtt2go/access';
import { SystemClock } from '@mqtt2go/ports';
import { Collector, silentLogger, Certificates, mustConnect, subscribes, tryConnect } from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedBroker } from './embedded-broker.js';
import { inProcess } from './test-support/clients.js';

const busRequests: readonly BusRequest[] = [
  { service: 'certificate-authority', verb: 'issue', callers: ['provisioning'] },
];
let certificates: Certificates;
let broker: EmbeddedBroker;
let url: string;
const clients: MqttClient[] = [];

beforeAll(async () => {
  certificates = await Certificates.create();
  broker = new EmbeddedBroker({ role: 'bus', clock: new SystemClock(), log: silentLogger, busRequests });
  const { port } = await broker.listenServices({
    host: '127.0.0.1',
    port: 0,
    ca: certificates.services.certificate,
    ...certificates.server,
  });
  url = `mqtts://127.0.0.1:${port}`;
});
afterAll(async () => {
  for (const client of clients) client.end(true);
  await broker.close();
});

const overTls = async (service: string) => {
  const clientId = `client-${clients.length}`;
  const credentials = { clientId, ca: certificates.root.certificate, ...(await certificates.service(service)) };
  const client = await mustConnect(url, credentials);
  clients.push(client);
  return client;
};

describe('the bus', () => {
  it('carries a request and its answer, from TLS to inside the process and back', async () => {
    const answering = inProcess(() => broker, 'certificate-authority');
    clients.push(answering);
    expect(await subscribes(answering, 'mqtt2go/certificate-authority/+')).toBe(true);
    answering.on('message', (topic, payload) =>
      answering.publish(`${topic}/reply`, `${payload.toString()}!`, { qos: 1 }),
    );
    const asking = await overTls('provisioning');
    const heard = new Collector<string>();
    asking.on('message', (_topic, payload) => heard.add(payload.toString()));
    expect(await subscribes(asking, 'mqtt2go/certificate-authority/issue/reply')).toBe(true);
    await asking.publishAsync('mqtt2go/certificate-authority/issue', Buffer.alloc(500_000, 'x'), { qos: 1 });
    expect((await heard.first(1))[0]).toHaveLength(500_001);
  });

  it('does not show a service what others are told', async () => {
    const discovery = await overTls('discovery');
    for (const filter of ['mqtt2go/certificate-authority/issue/reply', 'mqtt2go/#', '#', '$SYS/#']) {
      expect(await subscribes(discovery, filter)).toBe(false);
    }
    const answering = await overTls('certificate-authority');
    const heard = new Collector<string>();
    answering.on('message', (_topic, payload) => heard.add(payload.toString()));
    await subscribes(answering, 'mqtt2go/certificate-authority/+');
    await discovery.publishAsync('mqtt2go/certificate-authority/issue', 'forged', { qos: 1 });
    const provisioning = await overTls('provisioning');
    await provisioning.publishAsync('mqtt2go/certificate-authority/issue', 'honest', { qos: 1 });
    expect(await heard.first(1)).toEqual(['honest']);
  });

  it('lets nobody else in', async () => {
    const ca = certificates.root.certificate;
    for (const credentials of [
      {},
      { username: 'provisioning', password: 'provisioning' },
      await certificates.device('provisioning', '0A01'),
      await certificates.preloaded('provisioning'),
      await certificates.service('provisioning', certificates.foreign),
      await certificates.service('stranger'),
    ]) {
      expect(await tryConnect(url, { ca, ...credentials })).toHaveProperty('refusedWith');
    }
  });
});

it('a broker that is closed opens no further connections', async () => {
  const short = new EmbeddedBroker({ role: 'home', clock: new SystemClock(), log: silentLogger });
  await short.close();
  await short.close();
  expect(() => short.connectInProcess('provisioning')).toThrow(expect.objectContaining({ code: 'unavailable' }));
});

it('a bus that was not told what can be asked on it does not start', () => {
  expect(() => new EmbeddedBroker({ role: 'bus', clock: new SystemClock(), log: silentLogger })).toThrow(/busRequests/);
});
