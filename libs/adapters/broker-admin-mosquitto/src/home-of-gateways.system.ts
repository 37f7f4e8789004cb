import type { DevicePrincipal } from '@mqtt2go/access';
import {
  within,
  Certificates,
  Collector,
  closed,
  type Credentials,
  type GatewayAuthority,
  nextMessage,
  subscribes,
} from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MosquittoBrokerAdmin } from './mosquitto-broker-admin.js';
import { mosquittoSubscriptionNotices } from './subscription-notices.js';
import { MosquittoStage } from './test-support/mosquitto-stage.js';
import { controller, device } from './test-support/principals.js';

const lamp = (change: Partial<DevicePrincipal> = {}) => device('lamp', { trustsGateway: true, ...change });
const topic = 'home-1/gw-1/kitchen/socket/lamp';

describe('a home broker for homes with gateways', () => {
  let certificates: Certificates;
  let mine: GatewayAuthority;
  let theirs: GatewayAuthority;
  let stage: MosquittoStage;
  let admin: MosquittoBrokerAdmin;
  let clients: MqttClient[];

  beforeAll(async () => {
    certificates = await Certificates.create();
    [mine, theirs] = await Promise.all([certificates.gateway('home-1'), certificates.gateway('home-2')]);
    stage = await MosquittoStage.start(certificates, 'home', { gateways: true });
    admin = stage.admin({ accessDir: stage.accessDir });
  });
  beforeEach(async () => {
    clients = [];
    await admin.replaceAll([lamp(), await controller('phone')]);
  });
  afterEach(async () => {
    for (const client of clients) await client.endAsync(true);
  });
  afterAll(() => stage?.close());

  const come = async (credentials: Credentials | Promise<Credentials>, clientId = 'lamp'): Promise<MqttClient> => {
    const client = await stage.connect({ ...(await credentials), clientId, clean: false });
    clients.push(client);
    return client;
  };
  const phone = async (): Promise<MqttClient> => {
    const client = await stage.connect({ username: 'phone@home-1', password: 'phone@home-1' }, 'controllers');
    clients.push(client);
    return client;
  };
  const expectNowhere = async (client: MqttClient): Promise<void> => {
    for (const filter of ['lamp/topics', topic, 'home-1/#', '#', '+/topics'])
      expect(await subscribes(client, filter), filter).toBe(false);
  };

  it.each([
    ['the platform', () => certificates.device('lamp', '0A01')],
    ['its home’s gateway', () => mine.device('lamp')],
  ])('lets a device in with a certificate of %s, to its own topics and nothing else', async (_whose, credentials) => {
    const there = await come(credentials());
    expect(await subscribes(there, 'lamp/topics')).toBe(true);
    expect(await subscribes(there, topic)).toBe(true);
    for (const filter of ['plug/topics', 'home-1/gw-1/kitchen/socket/plug', '#'])
      expect(await subscribes(there, filter), filter).toBe(false);
    const heard = nextMessage(there);
    await (await phone()).publishAsync(topic, 'on', { qos: 1 });
    expect(await heard).toBe(`${topic} on`);
  });

  it('lets the gateway of another home speak for none of its devices, nor end or take over a session', async () => {
    const there = await come(mine.device('lamp'));
    expect(await subscribes(there, topic)).toBe(true);
    const thief = await come(theirs.device('lamp'));
    await expectNowhere(thief);
    let stolen = 0;
    thief.on('message', () => {
      stolen += 1;
    });
    await thief.publishAsync(topic, 'from the thief', { qos: 1 });
    const heard = nextMessage(there);
    await (await phone()).publishAsync(topic, 'on', { qos: 1 });
    expect(await heard).toBe(`${topic} on`);
    expect(there.connected).toBe(true);
    expect(stolen).toBe(0);
  });

  it('refuses at TLS what a gateway has signed for another home, or for none', async () => {
    for (const forged of [theirs.forged('lamp', 'home-1'), theirs.forged('lamp'), mine.forged('lamp')])
      expect(await stage.tryConnect(await forged)).toHaveProperty('refusedWith');
    expect(await stage.tryConnect(await theirs.device('lamp'))).toHaveProperty('client');
  });

  it('lets a gateway that is not trusted any more speak for nobody, and leaves who comes without it alone', async () => {
    const own = await come(certificates.device('lamp', '0A01'));
    const ofGateway = await come(mine.device('lamp'));
    const end = within(closed(ofGateway), 'the end of the session');
    await admin.put([device('lamp')]);
    await end;
    expect(own.connected).toBe(true);
    expect(await subscribes(own, topic)).toBe(true);
    await expectNowhere(await come(mine.device('lamp')));
  });

  it('tells who listens by their ids', async () => {
    const relay = await stage.connectService('federation');
    const { filter, read } = mosquittoSubscriptionNotices;
    const heard = new Collector<unknown>();
    relay.on('message', (where, payload) => heard.add(read(where, payload)));
    await relay.subscribeAsync(filter, { qos: 1 });
    await heard.first(1);
    for (const credentials of [certificates.device('lamp', '0A01'), mine.device('lamp')])
      await (await come(credentials)).subscribeAsync(topic, { qos: 1 });
    const notice = { deviceId: 'lamp', filters: [topic] };
    expect((await heard.first(3)).slice(1)).toEqual([notice, notice]);
    await relay.endAsync();
  });

  it('takes a device from a home to another, and its names with it', async () => {
    const there = await come(mine.device('lamp'));
    const end = within(closed(there), 'the end of the session');
    await admin.put([lamp({ homeId: 'home-2' })]);
    await end;
    await expectNowhere(await come(mine.device('lamp')));
    const moved = await come(theirs.device('lamp'));
    expect(await subscribes(moved, 'home-2/gw-1/kitchen/socket/lamp')).toBe(true);
    expect(await subscribes(moved, topic)).toBe(false);
  });

  it('lets a device that is removed come by none of its names', async () => {
    const sessions = [await come(certificates.device('lamp', '0A01')), await come(mine.device('lamp'))];
    const ends = Promise.all(sessions.map((session) => within(closed(session), 'the end of the session')));
    await admin.remove([{ kind: 'device', id: 'lamp' }]);
    await ends;
    await expectNowhere(await come(certificates.device('lamp', '0A01')));
    await expectNowhere(await come(mine.device('lamp')));
  });

  it('is told nothing that it knows, and forgets who is in the list no more', async () => {
    const there = await come(mine.device('lamp'));
    await admin.replaceAll([lamp(), await controller('phone')]);
    expect(await subscribes(there, topic)).toBe(true);
    const end = within(closed(there), 'the end of the session');
    await admin.replaceAll([device('lamp'), await controller('phone')]);
    await end;
    await expectNowhere(await come(mine.device('lamp')));
    const own = await come(certificates.device('lamp', '0A01'));
    expect(await subscribes(own, topic)).toBe(true);
    await admin.replaceAll([]);
    await expectNowhere(await come(certificates.device('lamp', '0A01')));
  });

  it('knows both names when it starts again, from the snapshot and by being told', async () => {
    await stage.killAndStart({ keepsSnapshot: true });
    expect(await subscribes(await come(mine.device('lamp')), topic)).toBe(true);
    await stage.killAndStart();
    await admin.replaceAll([lamp(), await controller('phone')]);
    expect(await subscribes(await come(mine.device('lamp')), topic)).toBe(true);
    expect(await subscribes(await come(certificates.device('lamp', '0A01')), topic)).toBe(true);
  });
});
