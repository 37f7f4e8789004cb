import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { within, Certificates, closed, nextMessage, subscribes } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controlResponseTopic, controlTopic } from './control/commands.js';
import { brokerFileNames } from './files/mosquitto-conf.js';
import { MosquittoStage } from './test-support/mosquitto-stage.js';
import { controller, device } from './test-support/principals.js';

let certificates: Certificates;
let stage: MosquittoStage;

beforeAll(async () => {
  certificates = await Certificates.create();
  stage = await MosquittoStage.start(certificates, 'home');
  const admin = stage.admin();
  await admin.replaceAll([device('plug-1'), device('plug-2'), await controller('phone')]);
});
afterAll(() => stage.close());

const ofDevice = (id: string) => certificates.device(id, '0A01');
/** Of what may be said to the broker, nothing that everybody else would not be told too. */
const services = ['+/topics', '+/+/add_device', '#', '$SYS/#', controlResponseTopic, '$CONTROL/#', 'mqtt2go/#'];

describe('who comes to the devices’ listener of a home broker', () => {
  it.each(['topic-generator', 'provisioning', 'observer', 'CN=topic-generator,O=MQTT2GO'])(
    'as %s has no right of a service',
    async (commonName) => {
      const client = await stage.connect(await ofDevice(commonName));
      for (const filter of services) expect(await subscribes(client, filter)).toBe(false);
      const provisioning = await stage.connectService('provisioning');
      expect(await subscribes(provisioning, '+/+/add_device')).toBe(true);
      const heard = nextMessage(provisioning);
      const command = JSON.stringify({ commands: [{ command: 'deleteClient', username: 'plug-1' }] });
      await client.publishAsync(controlTopic, command, { qos: 1 });
      await client.publishAsync('home-1/gw-1/add_device', 'as somebody else', { qos: 1 });
      const phone = await stage.connect({ username: 'phone@home-1', password: 'phone@home-1' }, 'controllers');
      await phone.publishAsync('home-1/gw-1/add_device', 'as myself', { qos: 1 });
      expect(await heard).toBe('home-1/gw-1/add_device as myself');
      const plug = await stage.connect(await ofDevice('plug-1'));
      expect(await subscribes(plug, 'plug-1/topics')).toBe(true);
      for (const one of [plug, phone, provisioning, client]) await one.endAsync();
    },
  );

  it('has a certificate of the home’s CA', async () => {
    for (const authority of [certificates.foreign, certificates.manufacturer]) {
      const outcome = await stage.tryConnect(await certificates.preloaded('plug-1', authority));
      expect(outcome).toHaveProperty('refusedWith');
    }
    expect(await stage.tryConnect(await certificates.service('topic-generator'))).toHaveProperty('refusedWith');
    expect(await stage.tryConnect({})).toHaveProperty('refusedWith');
  });

  it('is no controller by a password', async () => {
    const password = { username: 'phone@home-1', password: 'phone@home-1' };
    expect(await stage.tryConnect(password)).toHaveProperty('refusedWith');
    const client = await stage.connect({ ...(await ofDevice('plug-1')), ...password });
    expect(await subscribes(client, 'home-1/gw-1/add_device')).toBe(false);
    expect(await subscribes(client, 'plug-1/topics')).toBe(true);
    await client.endAsync();
  });

  it('does not get another’s session by its client id', async () => {
    const plug = await stage.connect({ ...(await ofDevice('plug-1')), clientId: 'plug-1' });
    const thief = await stage.connect({ ...(await ofDevice('plug-2')), clientId: 'plug-1' });
    const phone = await stage.connect(
      { username: 'phone@home-1', password: 'phone@home-1', clientId: 'plug-1', clean: false },
      'controllers',
    );
    expect(await subscribes(phone, 'plug-1/topics')).toBe(false);
    expect(await subscribes(thief, 'plug-1/topics')).toBe(false);
    expect(await subscribes(plug, 'plug-1/topics')).toBe(true);
    for (const client of [plug, thief, phone]) await client.endAsync();
  });

  it('is disconnected for a packet that is too large, and nobody else is', async () => {
    const [plug, other] = await Promise.all(['plug-1', 'plug-2'].map(async (id) => stage.connect(await ofDevice(id))));
    if (plug === undefined || other === undefined) throw new Error('unreachable');
    const end = closed(plug);
    plug.publish('plug-1/topics', Buffer.alloc(300_000), { qos: 1 });
    await within(end, 'the end of the connection');
    expect(await subscribes(other, 'plug-2/topics')).toBe(true);
    await other.endAsync();
  });

  it('does not end a service’s session by being called as the service is, and removed', async () => {
    const admin = stage.admin();
    const provisioning = await stage.connectService('provisioning');
    await admin.put([device('provisioning')]);
    const namesake = await stage.connect(await ofDevice('provisioning'));
    expect(await subscribes(namesake, 'provisioning/topics')).toBe(false);
    await admin.remove([{ kind: 'device', id: 'provisioning' }]);
    // Past the adapter, which holds nobody of such a name.
    const commands = [
      { command: 'createClient', username: 'provisioning' },
      { command: 'deleteClient', username: 'provisioning' },
    ];
    const end = closed(namesake);
    const keeper = await stage.connectService('topic-generator');
    await keeper.publishAsync(controlTopic, JSON.stringify({ commands }), { qos: 1 });
    await within(end, 'the end of the namesake’s session');
    expect(await subscribes(provisioning, '+/topics')).toBe(true);
    for (const one of [provisioning, keeper]) await one.endAsync();
  });
});

describe('who comes to the controllers’ listeners', () => {
  it.each(['controllers', 'controllersWebSocket'] as const)('%s has the right password', async (door) => {
    const right = { username: 'phone@home-1', password: 'phone@home-1' };
    const client = await stage.connect(right, door);
    expect(await subscribes(client, 'home-1/gw-1/add_device')).toBe(true);
    await client.endAsync();
    for (const wrong of [{ ...right, password: 'x' }, { username: 'phone@home-1' }, {}, { username: 'plug-1' }]) {
      expect(await stage.tryConnect(wrong, door)).toHaveProperty('refusedWith');
    }
    expect(await stage.tryConnect({ username: 'plug-1', password: '' }, door)).toHaveProperty('refusedWith');
    expect(await stage.tryConnect({ ...(await ofDevice('plug-1')) }, door)).toHaveProperty('refusedWith');
  });
});

describe('who comes to the services’ listener', () => {
  const ca = () => certificates.services.certificate;

  it('has a certificate of the services’ CA', async () => {
    for (const credentials of [
      await ofDevice('topic-generator'),
      await certificates.preloaded('topic-generator'),
      {},
    ]) {
      expect(await stage.tryConnect({ ca: ca(), ...credentials }, 'services')).toHaveProperty('refusedWith');
    }
    const phone = { ca: ca(), username: 'phone@home-1', password: 'phone@home-1' };
    expect(await stage.tryConnect(phone, 'services')).toHaveProperty('refusedWith');
  });

  it('does there what its own service may do', async () => {
    const provisioning = await stage.connectService('provisioning');
    const plug = await stage.connect(await ofDevice('plug-1'));
    expect(await subscribes(provisioning, '$share/provisioning/+/topics')).toBe(true);
    const asked = nextMessage(provisioning);
    await plug.publishAsync('plug-1/topics', 'what am I called?', { qos: 1 });
    expect(await asked).toBe('plug-1/topics what am I called?');
    const command = JSON.stringify({ commands: [{ command: 'deleteClient', username: 'plug-1' }] });
    await provisioning.publishAsync(controlTopic, command, { qos: 1 });
    for (const filter of ['plug-1/topics', 'home-1/gw-1/kitchen/socket/plug-1']) {
      expect(await subscribes(plug, filter)).toBe(true);
    }
    const answered = nextMessage(plug);
    await provisioning.publishAsync('home-1/gw-1/kitchen/socket/plug-1', 'off', { qos: 1 });
    await provisioning.publishAsync('plug-1/topics', 'plug', { qos: 1 });
    expect(await answered).toBe('plug-1/topics plug');
    expect(plug.connected).toBe(true);
    for (const one of [plug, provisioning]) await one.endAsync();
  });
});

describe('a device that is removed', () => {
  it('loses its session, and can do nothing when it comes back', async () => {
    const admin = stage.admin();
    await admin.put([device('plug-3')]);
    const client = await stage.connect({ ...(await ofDevice('plug-3')), clean: false });
    expect(await subscribes(client, 'plug-3/topics')).toBe(true);
    const end = closed(client);
    await admin.remove([{ kind: 'device', id: 'plug-3' }]);
    await within(end, 'the end of the session');
    const again = await stage.connect({ ...(await ofDevice('plug-3')), clean: false });
    let heard = 0;
    again.on('message', () => {
      heard += 1;
    });
    for (const filter of ['plug-3/topics', 'home-1/gw-1/kitchen/socket/plug-3']) {
      expect(await subscribes(again, filter)).toBe(false);
    }
    const provisioning = await stage.connectService('provisioning');
    await provisioning.publishAsync('plug-3/topics', 'secret', { qos: 1 });
    await again.publishAsync('plug-3/topics', 'hello', { qos: 1 });
    expect(heard).toBe(0);
    for (const one of [again, provisioning]) await one.endAsync();
  });

  it('keeps its session when a certificate is added, and loses it when that is taken away again', async () => {
    const admin = stage.admin();
    await admin.put([device('plug-4')]);
    const client = await stage.connect(await ofDevice('plug-4'));
    await admin.put([device('plug-4', { certificateSerials: ['0A01', '0A02'] })]);
    await admin.put([device('plug-4', { certificateSerials: ['0A02', '0A01'] })]);
    expect(await subscribes(client, 'plug-4/topics')).toBe(true);
    const end = closed(client);
    await stage.admin().put([device('plug-4')]);
    await within(end, 'the end of the session');
  });
});

describe('a broker that is killed', () => {
  it('and has lost its snapshot lets nobody do anything until it is told, and then everybody who is to', async () => {
    const accessDir = stage.accessDir;
    const everybody = [device('plug-1'), await controller('phone')];
    const admin = stage.admin({ accessDir });
    let gate = Promise.resolve();
    let rebuilt = Promise.withResolvers<void>();
    admin.onCopyLost(async () => {
      await gate;
      await admin.replaceAll(everybody);
      rebuilt.resolve();
    });
    await rebuilt.promise;
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    rebuilt = Promise.withResolvers<void>();
    await stage.killAndStart();
    const early = await stage.connect(await ofDevice('plug-1'));
    expect(await subscribes(early, 'plug-1/topics')).toBe(false);
    const phone = { username: 'phone@home-1', password: 'phone@home-1' };
    expect(await stage.tryConnect(phone, 'controllers')).toHaveProperty('refusedWith');
    held.resolve();
    await rebuilt.promise;
    // In the session that was there before.
    expect(await subscribes(early, 'plug-1/topics')).toBe(true);
    await (await stage.connect(phone, 'controllers')).endAsync();
    const removed = await stage.connect(await ofDevice('plug-2'));
    expect(await subscribes(removed, 'plug-2/topics')).toBe(false);
    for (const one of [early, removed]) await one.endAsync();
    await admin.close();
  });

  it('starts from the snapshot, and is told what has changed since', async () => {
    const accessDir = stage.accessDir;
    let truth = [device('plug-1'), device('plug-5'), await controller('phone')];
    const admin = stage.admin({ accessDir });
    let rebuilt = Promise.withResolvers<void>();
    let gate = Promise.resolve();
    admin.onCopyLost(async () => {
      await gate;
      await admin.replaceAll(truth);
      rebuilt.resolve();
    });
    await rebuilt.promise;
    expect(await readFile(join(stage.folder, brokerFileNames.snapshot), 'utf8')).toContain('"plug-5"');
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    rebuilt = Promise.withResolvers<void>();
    await stage.container.kill();
    truth = truth.filter(({ id }) => id !== 'plug-5');
    await stage.killAndStart({ keepsSnapshot: true });
    const plug = await stage.connect(await ofDevice('plug-1'));
    expect(await subscribes(plug, 'plug-1/topics')).toBe(true);
    const phone = await stage.connect({ username: 'phone@home-1', password: 'phone@home-1' }, 'controllers');
    expect(await subscribes(phone, 'home-1/gw-1/add_device')).toBe(true);
    const removed = await stage.connect(await ofDevice('plug-5'));
    const end = closed(removed);
    held.resolve();
    await rebuilt.promise;
    await within(end, 'the end of the session');
    // Nobody else’s.
    expect(await subscribes(plug, 'home-1/gw-1/kitchen/socket/plug-1')).toBe(true);
    expect(phone.connected).toBe(true);
    for (const one of [plug, phone]) await one.endAsync();
    await admin.close();
  });
});
