import { Certificates, Collector, subscribes } from '@mqtt2go/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mosquittoSubscriptionNotices } from './subscription-notices.js';
import { MosquittoStage } from './test-support/mosquitto-stage.js';
import { controller, device } from './test-support/principals.js';

let certificates: Certificates;
let stage: MosquittoStage;

beforeAll(async () => {
  certificates = await Certificates.create();
  stage = await MosquittoStage.start(certificates, 'home');
  await stage.admin().replaceAll([device('plug-1'), await controller('phone')]);
});
afterAll(() => stage.close());

const topic = 'home-1/gw-1/living/socket/plug-1';
const { filter } = mosquittoSubscriptionNotices;
const phone = { username: 'phone@home-1', password: 'phone@home-1' };

it('tells who listens, between what the device does not hear and what it does, and keeps it for one who is away', async () => {
  const session = { clientId: 'service relay', clean: false };
  const relay = await stage.connectService('federation', session);
  const filters = [filter, 'home-1/+/+/+/+'];
  const heard = new Collector<unknown>();
  const hear = (where: string, payload: Buffer): void =>
    heard.add(mosquittoSubscriptionNotices.read(where, payload) ?? payload.toString());
  relay.on('message', hear);
  await relay.subscribeAsync(filters, { qos: 1 });
  // Its own: whoever hears them knows that the broker tells.
  expect(await heard.first(2)).toEqual(filters.map((own) => ({ deviceId: undefined, filters: [own] })));
  await relay.endAsync();

  const app = await stage.connect(phone, 'controllers');
  const plug = await stage.connect(await certificates.device('plug-1', '0A01'));
  const told = new Collector<string>();
  plug.on('message', (_, payload) => told.add(payload.toString()));
  await app.publishAsync(topic, 'before', { qos: 1 });
  expect(await subscribes(plug, 'home-1/gw-1/living/socket/plug-2')).toBe(false);
  await plug.subscribeAsync(topic, { qos: 1 });
  await app.publishAsync(topic, 'after', { qos: 1 });
  const again = await stage.connectService('federation', session);
  again.on('message', hear);
  await again.subscribeAsync('home-1/+/+/+/+', { qos: 1 });
  expect((await heard.first(5)).slice(2)).toEqual(['before', { deviceId: 'plug-1', filters: [topic] }, 'after']);
  expect(await told.first(1)).toEqual(['after']);
});

it('tells nobody else', async () => {
  const others = [
    await stage.connect(await certificates.device('plug-1', '0A01')),
    await stage.connect(phone, 'controllers'),
  ];
  for (const client of others) expect(await subscribes(client, filter)).toBe(false);
  const provisioning = await stage.connectService('provisioning');
  const heard = new Collector<string>();
  provisioning.on('message', (where) => heard.add(where));
  // Mosquitto looks at what services are delivered, not at what they subscribe to.
  await provisioning.subscribeAsync([filter, '+/topics'], { qos: 1 });
  const [plug] = others;
  await plug?.subscribeAsync(topic, { qos: 1 });
  await plug?.publishAsync('plug-1/topics', 'asks', { qos: 1 });
  expect(await heard.first(1)).toEqual(['plug-1/topics']);
});
