import { once } from 'node:events';
import type { IClientOptions, MqttClient } from 'mqtt';
import { Collector, silentLogger, Certificates, closed, subscribes } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { AedesBrokerAdmin } from './aedes-broker-admin.js';
import { EmbeddedBroker } from './embedded-broker.js';
import { inProcess, type Received } from './test-support/clients.js';
import { device, Stage } from './test-support/stage.js';

let stage: Stage;
let certificates: Certificates;
const notAuthorized = 'Connection refused: Not authorized';
const badPassword = 'Connection refused: Bad username or password';
const dayMs = 24 * 60 * 60 * 1000;

beforeAll(async () => {
  certificates = await Certificates.create();
  stage = await Stage.start(certificates, 'home');
});
afterAll(() => stage.close());

const refusal = async (options: IClientOptions, url?: string) => {
  const outcome = await stage.tryConnect(options, url);
  if ('client' in outcome) outcome.client.end(true);
  return 'client' in outcome ? 'let in' : outcome.refusedWith;
};

function collect(client: MqttClient): Collector<Received> {
  const collector = new Collector<Received>();
  client.on('message', (topic, payload, { retain }) => collector.add({ topic, payload: payload.toString(), retain }));
  return collector;
}

describe('at the door, with a certificate', () => {
  it('lets the right one in', async () => {
    const credentials = await stage.addDevice('right');
    expect(await refusal(credentials)).toBe('let in');
  });

  it('refuses one of a foreign CA', async () => {
    await stage.addDevice('foreign');
    expect(await refusal(await certificates.preloaded('foreign', certificates.foreign))).toBe(notAuthorized);
  });

  it('refuses one of a manufacturer: that is for the activation broker', async () => {
    await stage.addDevice('preloaded');
    expect(await refusal(await certificates.preloaded('preloaded'))).toBe(notAuthorized);
  });

  it('refuses one that has expired', async () => {
    await stage.addDevice('expired');
    const expired = await certificates.device('expired', '0A01', dayMs, 2 * dayMs);
    expect(await refusal(expired)).toBe(notAuthorized);
    expect(stage.broker.stats().counters.refused.certificate_expired).toBe(1);
  });

  it('refuses one that has expired by the clock of the platform', async () => {
    await stage.addDevice('soon');
    const soon = await certificates.device('soon', '0A01', dayMs);
    stage.clock.advance(2 * dayMs);
    expect(await refusal(soon)).toBe(notAuthorized);
    stage.clock.advance(-2 * dayMs);
    expect(await refusal(soon)).toBe('let in');
  });

  it('refuses one with a serial number that is not current', async () => {
    await stage.addDevice('older', { certificateSerials: ['0A02'] });
    expect(await refusal(await certificates.device('older', '0A01'))).toBe(notAuthorized);
  });

  it('refuses one of a device that was never added', async () => {
    expect(await refusal(await certificates.device('stranger', '0A01'))).toBe(notAuthorized);
  });

  it('refuses a server’s certificate', async () => {
    await stage.addDevice('broker');
    expect(await refusal(certificates.server)).toBe(notAuthorized);
  });

  it('refuses one whose name is no device id', async () => {
    expect(await refusal(await certificates.device('+', '0A01'))).toBe(notAuthorized);
    expect(await refusal(await certificates.device('a/b', '0A01'))).toBe(notAuthorized);
  });

  it('treats a device that gives a user name and password by its certificate only', async () => {
    const admin = await stage.addController('phone-of-device');
    const credentials = await stage.addDevice('two-faced');
    const client = await stage.connect({ ...credentials, ...admin });
    expect(await subscribes(client, 'home-1/gw-1/add_device')).toBe(false);
    expect(await subscribes(client, 'two-faced/topics')).toBe(true);
    expect(await refusal({ ...(await certificates.device('stranger', '0A01')), ...admin })).toBe(notAuthorized);
  });
});

describe('at the door of a broker that has not been told yet who may come in', () => {
  it('asks everybody it does not know to come again, and lets those in whom it knows', async () => {
    const empty = new EmbeddedBroker({ role: 'home', clock: stage.clock, log: silentLogger });
    const ca = certificates.root.certificate;
    const tls = { host: '127.0.0.1', port: 0, ca, ...certificates.server, clientCertificates: 'optional' } as const;
    const { port } = await empty.listenTls(tls);
    const admin = new AedesBrokerAdmin({
      address: 'in-process home',
      open: (suffix) => inProcess(() => empty, 'topic-generator', suffix),
    });
    const ask = (options: IClientOptions) => refusal({ ca, ...options }, `mqtts://127.0.0.1:${port}`);
    const credentials = await certificates.device('plug-1', '0A01');
    const unavailable = 'Connection refused: Server unavailable';
    try {
      expect(await ask(credentials)).toBe(unavailable);
      expect(await ask({ username: 'phone-1', password: 'phone-1' })).toBe(unavailable);
      expect(await ask(await certificates.device('plug-1', '0A01', dayMs, 2 * dayMs))).toBe(notAuthorized);
      await admin.put([device('plug-1', { certificateSerials: ['0A01'] })]);
      expect(await ask(credentials)).toBe('let in');
      await admin.replaceAll([]);
      expect(await ask(credentials)).toBe(notAuthorized);
      expect(await ask({ username: 'phone-1', password: 'phone-1' })).toBe(badPassword);
    } finally {
      await admin.close();
      await empty.close();
    }
  });
});

describe('at the door, without a certificate', () => {
  it('refuses who has no password either', async () => {
    expect(await refusal({})).toBe(notAuthorized);
    expect(await refusal({ username: 'phone-1' })).toBe(notAuthorized);
  });

  it('refuses a wrong password and an unknown user alike', async () => {
    await stage.addController('phone-1');
    expect(await refusal({ username: 'phone-1', password: 'guess' })).toBe(badPassword);
    expect(await refusal({ username: 'nobody', password: 'guess' })).toBe(badPassword);
    expect(await refusal({ username: 'phone-1', password: 'x'.repeat(5_000) })).toBe(badPassword);
  });

  it('does not take a device id or a service name for a user', async () => {
    await stage.addDevice('plug-x');
    expect(await refusal({ username: 'plug-x', password: 'plug-x' })).toBe(badPassword);
    expect(await refusal({ username: 'provisioning', password: '' })).toBe(badPassword);
  });

  it('knows users by their home, and those from before that by their names', async () => {
    const one = await stage.addController('tablet@home-1');
    const other = await stage.addController('tablet@home-2', { homeId: 'home-2' });
    expect(await refusal({ ...one, password: other.password ?? '' })).toBe(badPassword);
    expect(await refusal({ username: 'tablet', password: 'tablet' })).toBe(badPassword);
    const client = await stage.connect(other);
    expect(await subscribes(client, 'home-2/#')).toBe(true);
    expect(await subscribes(client, 'home-1/#')).toBe(false);
    const old = await stage.connect(await stage.addController('old-tablet'));
    expect(await subscribes(old, 'home-1/#')).toBe(true);
  });

  it.each(['tablet@home-1/x', '@home-1', 'tablet@', 'a@b@c', 'tablet@home-1\u0000', '+', '', 'x'.repeat(200)])(
    'takes no user name like %j, with which a session could be named as another’s',
    async (username) => {
      expect(await refusal({ username, password: 'x', clientId: 'x' })).not.toBe('let in');
    },
  );

  it('does not take a service’s certificate at the devices’ door', async () => {
    expect(await refusal(await certificates.service('provisioning'))).toBe(notAuthorized);
  });

  it.each(['provisioning', 'topic-generator', 'operator'])(
    'gives a device that is called %s no service’s rights, nor any other',
    async (id) => {
      const service = stage.service('provisioning');
      const heard = collect(service);
      expect(await subscribes(service, '+/topics')).toBe(true);
      const client = await stage.connect(await stage.addDevice(id));
      for (const filter of [
        '+/topics',
        '+/+/add_device',
        'home-1/gw-1/add_device',
        '$CONTROL/mqtt2go-access/v1/response',
      ]) {
        expect(await subscribes(client, filter)).toBe(false);
      }
      const order = JSON.stringify({ id: '1', commands: [{ command: 'remove', keys: [{ kind: 'device', id }] }] });
      await client.publishAsync('$CONTROL/mqtt2go-access/v1', order, { qos: 1 });
      await client.publishAsync('victim/topics', 'forged', { qos: 1 });
      await client.publishAsync(`${id}/topics`, 'forged', { qos: 1 });
      expect(await subscribes(client, `${id}/topics`)).toBe(false);
      const other = await stage.connect(await stage.addDevice('honest-one'));
      await other.publishAsync('honest-one/topics', 'mine', { qos: 1 });
      expect((await heard.first(1)).map(({ topic }) => topic)).toEqual(['honest-one/topics']);
      // The service of that name goes on as the service.
      expect(await subscribes(service, '+/+/add_device')).toBe(true);
    },
  );
});

describe('sessions', () => {
  it('cannot be taken over by another device that claims the client id', async () => {
    const victim = await stage.connect({ ...(await stage.addDevice('victim')), clientId: 'victim' });
    await stage.connect({ ...(await stage.addDevice('thief')), clientId: 'victim' });
    await stage.connect({ ...(await stage.addController('thief-phone', { homeId: 'home-2' })), clientId: 'victim' });
    expect(await subscribes(victim, 'victim/topics')).toBe(true);
  });

  it('are a controller’s own, even when another home uses the same client id', async () => {
    const one = await stage.connect({ ...(await stage.addController('one')), clientId: 'app' });
    await stage.connect({ ...(await stage.addController('two', { homeId: 'home-2' })), clientId: 'app' });
    expect(await subscribes(one, 'home-1/#')).toBe(true);
  });

  it('are taken over by the same device', async () => {
    const credentials = await stage.addDevice('again');
    const first = await stage.connect(credentials);
    const isClosed = closed(first);
    await stage.connect({ ...credentials, clientId: 'other' });
    await isClosed;
  });

  it('keep what came while their client was away, by the rights it has when it is back', async () => {
    const credentials = await stage.addDevice('sleeper');
    const app = await stage.connect(await stage.addController('sleeper-app'));
    const provisioning = stage.service('provisioning');
    const before = await stage.connect({ ...credentials, clean: false });
    expect(await subscribes(before, 'sleeper/topics')).toBe(true);
    expect(await subscribes(before, 'home-1/gw-1/+/socket/sleeper')).toBe(true);
    await before.endAsync();
    await app.publishAsync('home-1/gw-1/hall/socket/sleeper', 'not any more', { qos: 1 });
    await provisioning.publishAsync('sleeper/topics', 'on', { qos: 1 });
    await stage.addDevice('sleeper', { gatewayId: 'gw-2' });
    const after = await stage.connect({ ...credentials, clean: false, manualConnect: false });
    const got = collect(after);
    await provisioning.publishAsync('sleeper/topics', 'off', { qos: 1 });
    expect((await got.first(2)).map(({ payload }) => payload)).toEqual(['on', 'off']);
  });
});

describe('messages', () => {
  it('that are not the device’s to send go nowhere, and the device goes on', async () => {
    const app = await stage.connect(await stage.addController('listener'));
    const heard = collect(app);
    await subscribes(app, 'home-1/#');
    const client = await stage.connect(await stage.addDevice('sender'));
    await client.publishAsync('home-1/gw-1/add_device', 'forged', { qos: 1 });
    await client.publishAsync('home-1/gw-1/kitchen/socket/other', 'forged', { qos: 2 });
    await client.publishAsync('$CONTROL/mqtt2go-access/v1', JSON.stringify({ id: '1', commands: [] }), { qos: 1 });
    await client.publishAsync('home-1/gw-1/kitchen/socket/sender', 'mine', { qos: 1 });
    expect(await heard.first(1)).toEqual([
      { topic: 'home-1/gw-1/kitchen/socket/sender', payload: 'mine', retain: false },
    ]);
  });

  it('do not reach a guest by a filter over everything, unless it may have them', async () => {
    const guest = await stage.connect(await stage.addController('visitor', { role: 'guest' }));
    const heard = collect(guest);
    expect(await subscribes(guest, 'home-1/+/+/+/+')).toBe(true);
    const camera = await stage.connect(await stage.addDevice('cam', { deviceType: 'camera' }));
    await camera.publishAsync('home-1/gw-1/kitchen/camera/cam', 'face', { qos: 1, retain: true });
    const plug = await stage.connect(await stage.addDevice('toaster'));
    await plug.publishAsync('home-1/gw-1/kitchen/socket/toaster', 'on', { qos: 1 });
    await heard.first(1);
    expect(heard.items.map(({ topic }) => topic)).toEqual(['home-1/gw-1/kitchen/socket/toaster']);
    const late = await stage.connect(await stage.addController('late-visitor', { role: 'guest' }));
    const heardLate = collect(late);
    await plug.publishAsync('home-1/gw-1/kitchen/socket/toaster', 'kept', { qos: 1, retain: true });
    await subscribes(late, 'home-1/+/+/+/+');
    expect(await heardLate.first(1)).toEqual([
      { topic: 'home-1/gw-1/kitchen/socket/toaster', payload: 'kept', retain: true },
    ]);
  });

  it('stop at once for a subscription that is no longer its owner’s', async () => {
    const credentials = await stage.addDevice('moved');
    const client = await stage.connect(credentials);
    const heard = collect(client);
    await subscribes(client, 'home-1/gw-1/hall/socket/moved');
    await stage.admin.put([device('moved', { gatewayId: 'gw-2' })]);
    await subscribes(client, 'home-1/gw-2/hall/socket/moved');
    const app = await stage.connect(await stage.addController('mover'));
    await app.publishAsync('home-1/gw-1/hall/socket/moved', 'secret', { qos: 1 });
    await app.publishAsync('home-1/gw-2/hall/socket/moved', 'fine', { qos: 1 });
    expect((await heard.first(1)).map(({ payload }) => payload)).toEqual(['fine']);
  });

  it('are retained for devices’ topics only', async () => {
    const app = await stage.connect(await stage.addController('keeper'));
    await app.publishAsync('home-1/gw-1/add_device', 'code', { qos: 1, retain: true });
    await app.publishAsync('home-1/gw-1/kitchen/socket/kept', 'on', { qos: 1, retain: true });
    const late = await stage.connect(await stage.addController('late'));
    const heard = collect(late);
    await subscribes(late, 'home-1/gw-1/add_device');
    await subscribes(late, 'home-1/gw-1/kitchen/socket/kept');
    expect((await heard.first(1)).map(({ topic }) => topic)).toEqual(['home-1/gw-1/kitchen/socket/kept']);
  });

  it('of a will are refused like any other', async () => {
    const app = await stage.connect(await stage.addController('mourner', { homeId: 'home-9' }));
    const heard = collect(app);
    await subscribes(app, 'home-9/#');
    const forged = { topic: 'home-9/gw-1/add_device', payload: Buffer.from('forged'), qos: 1, retain: true } as const;
    const dying = await stage.connect({ ...(await stage.addDevice('dying', { homeId: 'home-9' })), will: forged });
    const own = {
      topic: 'home-9/gw-1/kitchen/socket/honest',
      payload: Buffer.from('bye'),
      qos: 1,
      retain: false,
    } as const;
    const honest = await stage.connect({ ...(await stage.addDevice('honest', { homeId: 'home-9' })), will: own });
    dying.stream.destroy();
    await closed(dying);
    honest.stream.destroy();
    expect((await heard.first(1)).map(({ payload }) => payload)).toEqual(['bye']);
  });

  it('flow between provisioning, a device and its controller', async () => {
    const provisioning = stage.service('provisioning');
    const asked = collect(provisioning);
    for (const filter of ['+/+/add_device', '/+/+/add_device', '+/topics', '/+/topics', '+/topic', '/+/topic']) {
      expect(await subscribes(provisioning, filter)).toBe(true);
    }
    expect(await subscribes(provisioning, '#')).toBe(false);
    const client = await stage.connect(await stage.addDevice('new'));
    const answered = collect(client);
    await subscribes(client, 'new/topics');
    await client.publishAsync('new/topics', 'GET', { qos: 1 });
    expect((await asked.first(1))[0]).toMatchObject({ topic: 'new/topics', payload: 'GET' });
    await provisioning.publishAsync('new/topics', '[]', { qos: 1 });
    expect((await answered.first(2)).map(({ payload }) => payload)).toEqual(['GET', '[]']);
    const app = await stage.connect(await stage.addController('owner'));
    await app.publishAsync('/home-1/gw-1/add_device', 'activate', { qos: 1 });
    expect((await asked.first(3))[2]).toMatchObject({ topic: '/home-1/gw-1/add_device' });
  });
});

describe('the other doors', () => {
  it('speak MQTT over WebSocket with passwords, and with the right subprotocol only', async () => {
    const { port } = await stage.broker.listenWss({ host: '127.0.0.1', port: 0, ...certificates.server });
    const url = `wss://127.0.0.1:${port}/mqtt`;
    const credentials = await stage.addController('browser');
    const client = await stage.connect(credentials, url);
    expect(await subscribes(client, 'home-1/#')).toBe(true);
    expect(await refusal({ ...credentials, password: 'wrong' }, url)).toBe(badPassword);
    const socket = new WebSocket(url, ['chat'], { ca: certificates.root.certificate });
    const [error]: unknown[] = await once(socket, 'error');
    expect(String(error)).toContain('401');
  });

  it('let services in by their own authority and under their own name', async () => {
    const { port } = await stage.broker.listenServices({
      host: '127.0.0.1',
      port: 0,
      ca: certificates.services.certificate,
      ...certificates.server,
    });
    const url = `mqtts://127.0.0.1:${port}`;
    const client = await stage.connect(await certificates.service('provisioning'), url);
    expect(await subscribes(client, '+/topics')).toBe(true);
    expect(await refusal(await certificates.service('broker'), url)).toBe(notAuthorized);
    expect(await refusal(await certificates.service('provisioning', certificates.foreign), url)).not.toBe('let in');
    expect(await refusal(await stage.addDevice('no-service'), url)).not.toBe('let in');
    expect(await refusal({}, url)).not.toBe('let in');
  });

  it('tell when their port is taken', async () => {
    const options = { host: '127.0.0.1', port: stage.port, ...certificates.server };
    await expect(stage.broker.listenWss(options)).rejects.toMatchObject({ code: 'port_in_use' });
    const tls = { ...options, ca: [], clientCertificates: 'optional' } as const;
    await expect(stage.broker.listenTls(tls)).rejects.toMatchObject({ code: 'port_in_use' });
  });
});
