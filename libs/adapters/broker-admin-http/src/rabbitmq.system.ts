import { type PlainClient, type TestIdentity, waitFor, waitForEvent } from '@mqtt2go/testing';
import {
  brokerAdminContract,
  contractController,
  contractDevice,
  contractDeviceIds,
  contractSerials,
} from '@mqtt2go/ports/testing';
import { connectAsync } from 'mqtt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HttpBrokerAdmin } from './http-broker-admin.js';
import { openTls, tryToVisit, visit } from './testing/clients.js';
import { openRabbitMqStage, type RabbitMqStage, RestartedAdmin } from './testing/rabbitmq-stage.js';
import { createTestPki } from './testing/test-pki.js';

let stage: RabbitMqStage;
const devices = new Map<string, TestIdentity>();

beforeAll(async () => {
  stage = await openRabbitMqStage();
  for (const id of contractDeviceIds) {
    for (const serial of contractSerials) devices.set(`${id} ${serial}`, await stage.pki.device(id, serial));
  }
  await stage.cluster.formed(3);
});
afterAll(() => stage.close());

let nextNode = 0;
/** The nodes in turn: whatever holds at one has to hold at each. */
function anyNode(): number {
  nextNode = (nextNode + 1) % 3;
  return nextNode;
}

function deviceAt(node: number, id: string, identity: TestIdentity | undefined) {
  return { port: stage.cluster.devicesPort(node), ca: stage.pki.ca, clientId: id, ...(identity && { identity }) };
}

brokerAdminContract(
  'HttpBrokerAdmin with a RabbitMQ cluster',
  async () => {
    const admin = new RestartedAdmin(await stage.openAdmin());
    return {
      admin,
      async connect({ key, certificateSerial, password }) {
        const visitor =
          key.kind === 'device'
            ? deviceAt(anyNode(), key.id, devices.get(`${key.id} ${certificateSerial}`))
            : {
                port: stage.cluster.devicesPort(anyNode()),
                ca: stage.pki.ca,
                clientId: `${key.id}/app`,
                username: key.id,
                ...(password === undefined ? {} : { password }),
              };
        const client = await tryToVisit(visitor);
        if (typeof client === 'string') return undefined;
        return { maySubscribe: (filter) => client.subscribe(filter), closed: client.ended };
      },
      restart: () => admin.restart(() => stage.openAdmin()),
      async close() {
        await admin.replaceAll([]);
        await admin.inner.close();
      },
    };
  },
  { keepsChangedSessions: false },
);

describe('a RabbitMQ cluster whose access is answered here', () => {
  let admin: HttpBrokerAdmin;
  const open: PlainClient[] = [];

  beforeEach(async () => {
    admin = await stage.openAdmin();
    await admin.replaceAll([
      contractDevice(),
      contractDevice({ id: 'plug-2', homeId: 'home-2', certificateSerials: ['0A01'] }),
      contractController(),
      contractController({ id: 'guest@home-1', role: 'guest' }),
      contractController({ id: 'phone@home-2', homeId: 'home-2' }),
    ]);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.close()));
    await admin.replaceAll([]);
    await admin.close();
  });

  async function device(id = 'plug-1', serial = '0A01'): Promise<PlainClient> {
    const client = await visit(deviceAt(anyNode(), id, devices.get(`${id} ${serial}`)));
    open.push(client);
    return client;
  }
  async function controller(username = 'phone-1@home-1'): Promise<PlainClient> {
    const door = { port: stage.cluster.devicesPort(anyNode()), ca: stage.pki.ca };
    const client = await visit({ ...door, clientId: `${username}/app`, username, password: 'first-password' });
    open.push(client);
    return client;
  }
  async function service(name = 'provisioning', clientId = `service:${name}-test`): Promise<PlainClient> {
    const door = { port: stage.cluster.servicesPort(anyNode()), servername: 'localhost', ca: stage.pki.servicesCa };
    const client = await visit({ ...door, clientId, identity: await stage.pki.service(name) });
    open.push(client);
    return client;
  }

  it('carries what they say to each other, from node to node', async () => {
    const [plug, phone, provisioning] = [await device(), await controller(), await service()];
    expect(await provisioning.subscribe('+/+/add_device')).toBe(true);
    expect(await provisioning.subscribe('+/topics')).toBe(true);
    expect(await plug.subscribe('plug-1/topics')).toBe(true);
    expect(await phone.subscribe('home-1/gw-1/+/+/+')).toBe(true);
    await phone.publish('home-1/gw-1/add_device', 'add');
    await plug.publish('plug-1/topics', 'ask');
    await plug.publish('home-1/gw-1/kitchen/socket/plug-1', 'on');
    await Promise.all([provisioning.receives('add'), provisioning.receives('ask'), phone.receives('on')]);
    expect(provisioning.received.map(({ topic }) => topic).sort()).toEqual(['home-1/gw-1/add_device', 'plug-1/topics']);
    expect(phone.received).toEqual([{ topic: 'home-1/gw-1/kitchen/socket/plug-1', payload: 'on' }]);
    await provisioning.publish('plug-1/topics', 'named');
    await plug.receives('named');
  });

  it('lets nobody hear or say what is of another home, another device, or of nobody', async () => {
    const [plug, phone, listener] = [await device(), await controller(), await service()];
    const other = await controller('phone@home-2');
    expect(await listener.subscribe('+/+/add_device')).toBe(true);
    expect(await other.subscribe('home-2/gw-1/+/+/+')).toBe(true);
    for (const filter of [
      'plug-2/topics',
      'home-2/gw-1/kitchen/socket/plug-2',
      'home-1/gw-1/add_device',
      'home-1/gw-1/+/+/+',
      'home-1/gw-1/+/socket/+',
      '+/topics',
      '*/topics',
      '#',
      '$share/x/plug-2/topics',
    ]) {
      expect([filter, await plug.subscribe(filter)]).toEqual([filter, false]);
    }
    for (const filter of [
      'home-2/#',
      'home-2/gw-1/add_device',
      '+/gw-1/add_device',
      '+/+/+/+/+',
      '#',
      'plug-1/topics',
    ]) {
      expect([filter, await phone.subscribe(filter)]).toEqual([filter, false]);
    }
    await plug.publish('home-2/gw-1/kitchen/socket/plug-2', 'forged');
    await plug.publish('home-1/gw-1/add_device', 'forged');
    await phone.publish('home-2/gw-1/kitchen/socket/plug-2', 'forged');
    await phone.publish('home-2/gw-1/add_device', 'forged');
    await phone.publish('home-1/gw-1/add_device', 'real');
    await listener.receives('real');
    expect(listener.received.map(({ payload }) => payload)).toEqual(['real']);
    expect(other.received).toEqual([]);
  });

  it('gives a filter to nobody of which it could only deliver a part', async () => {
    const [phone, guest] = [await controller(), await controller('guest@home-1')];
    expect(await phone.subscribe('home-1/#')).toBe(false);
    expect(await phone.subscribe('home-1/+')).toBe(false);
    expect(await guest.subscribe('home-1/+/+/+/+')).toBe(false);
    expect(await guest.subscribe('home-1/gw-1/+/light/+')).toBe(true);
    expect(await guest.subscribe('home-1/gw-1/+/camera/+')).toBe(false);
  });

  it('takes a dot for what RabbitMQ takes it for, the end of a level', async () => {
    const [plug, phone] = [await device(), await controller()];
    // The same routing keys as those with slashes.
    expect(await plug.subscribe('plug-1.topics')).toBe(true);
    expect(await plug.subscribe('plug-2.topics')).toBe(false);
    expect(await phone.subscribe('home-2.gw-1/add_device')).toBe(false);
    await expect(admin.put([contractDevice({ id: 'plug.3' })])).rejects.toMatchObject({ code: 'invalid_identifier' });
  });

  it('takes a device with the name of a service, or of a controller, for a device', async () => {
    const serviceName = await stage.pki.device('provisioning', '0A07');
    await admin.put([contractDevice({ id: 'provisioning', certificateSerials: ['0A07'] })]);
    for (const clientId of ['service:provisioning', 'service:provisioning-devices', 'provisioning-devices']) {
      expect(await tryToVisit({ ...deviceAt(anyNode(), clientId, serviceName) })).toBe('not let in: 4');
    }
    const client = await visit({ ...deviceAt(0, 'provisioning', serviceName), port: stage.cluster.servicesPort(0) });
    open.push(client);
    expect(await client.subscribe('provisioning/topics')).toBe(false);
    expect(await client.subscribe('+/+/add_device')).toBe(false);
    expect(await client.subscribe('+/topics')).toBe(false);
  });

  it('lets in by a certificate or a password, and takes neither for the other', async () => {
    const door = { port: stage.cluster.devicesPort(anyNode()), ca: stage.pki.ca };
    const identity = devices.get('plug-1 0A01');
    const uri = 'urn:mqtt2go:device:plug-1:0A01';
    const tries = {
      'a wrong password': {
        ...door,
        clientId: 'phone-1@home-1/app',
        username: 'phone-1@home-1',
        password: 'second-password',
      },
      'no password': { ...door, clientId: 'phone-1@home-1/app', username: 'phone-1@home-1' },
      'an empty password': { ...door, clientId: 'phone-1@home-1/app', username: 'phone-1@home-1', password: '' },
      'nothing at all': { ...door, clientId: 'plug-1' },
      "a certificate's name, typed": { ...door, clientId: 'plug-1', username: uri, password: 'x' },
      "a service's name, typed": {
        ...door,
        clientId: 'service:provisioning',
        username: 'urn:mqtt2go:service:provisioning:01',
        password: 'x',
      },
      'the name of the management user': {
        ...door,
        clientId: 'mqtt2go-access/x',
        username: 'mqtt2go-access',
        password: 'a-random-token-of-160-bits',
      },
      'another virtual host': {
        ...door,
        clientId: 'phone-1@home-1/app',
        username: 'other:phone-1@home-1',
        password: 'first-password',
      },
      "another's client id": { ...door, clientId: 'plug-2', ...(identity && { identity }) },
      "a device's client id": { ...door, clientId: 'plug-1', username: 'phone-1@home-1', password: 'first-password' },
      "another user's client id": {
        ...door,
        clientId: 'phone@home-2/app',
        username: 'phone-1@home-1',
        password: 'first-password',
      },
    };
    for (const [what, visitor] of Object.entries(tries)) {
      expect([what, await tryToVisit(visitor)]).toEqual([what, expect.stringMatching(/not let in: [245]/)]);
    }
  });

  it('does not talk to certificates of another CA', async () => {
    const foreign = await createTestPki();
    const ports = [stage.cluster.devicesPort(0), stage.cluster.servicesPort(0)];
    for (const port of ports) {
      for (const identity of [await foreign.device('plug-1', '0A01'), await foreign.service('provisioning')]) {
        const outcome = await tryToVisit({ port, ca: stage.pki.ca, identity, clientId: 'plug-1' });
        expect(outcome).not.toHaveProperty('isOpen');
      }
    }
  });

  it('shows its management side to nobody without a certificate of a service', async () => {
    const port = Number(new URL(stage.cluster.managementUrls[0] ?? '').port);
    const ask = async (identity: Partial<TestIdentity>): Promise<string> => {
      const socket = await openTls(port, { ca: stage.pki.servicesCa, ...identity });
      socket.write('GET /api/whoami HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n');
      return new Promise((resolve, reject) => {
        socket.once('data', (data) => resolve(data.toString().split('\r\n')[0] ?? ''));
        socket.once('error', reject);
        socket.once('close', () => resolve('closed'));
      });
    };
    await expect(
      ask({}).then((line) => (line === 'closed' ? Promise.reject(new Error(line)) : line)),
    ).rejects.toThrow();
    expect(await ask(await stage.pki.service('provisioning'))).toMatch(/ 401 /);
  });

  it('ends the sessions and forgets the subscriptions of a controller that may do less', async () => {
    const username = 'phone-1@home-1';
    const url = `mqtts://127.0.0.1:${stage.cluster.devicesPort(0)}`;
    const login = { username, password: 'first-password', clientId: `${username}/app`, clean: false };
    const options = { ca: stage.pki.ca, ...login, protocolVersion: 4, reconnectPeriod: 0 } as const;
    const phone = await connectAsync(url, options);
    const [granted] = await phone.subscribeAsync('home-1/gw-1/+/camera/+', { qos: 1 });
    expect(granted?.qos).toBe(1);
    const ended = waitForEvent(phone, 'close');
    await admin.put([contractController({ role: 'guest' })]);
    await ended;

    const types = { 'cam-1': 'camera', 'lamp-1': 'light' };
    for (const [id, deviceType] of Object.entries(types)) {
      await admin.put([contractDevice({ id, deviceType, certificateSerials: ['0A09'] })]);
    }
    const again = await connectAsync(url, options);
    await again.subscribeAsync('home-1/gw-1/+/light/+', { qos: 1 });
    const heard: string[] = [];
    again.on('message', (_topic, payload) => heard.push(payload.toString()));
    for (const [id, deviceType] of Object.entries(types)) {
      const client = await visit(deviceAt(anyNode(), id, await stage.pki.device(id, '0A09')));
      open.push(client);
      await client.publish(`home-1/gw-1/hall/${deviceType}/${id}`, id);
    }
    await waitFor(() => heard.length > 0, "the lamp's message");
    expect(heard).toEqual(['lamp-1']);
    await again.endAsync(true);
  });

  it('turns everybody new away while nobody answers, and lets them in when somebody does', async () => {
    await admin.close();
    expect(await tryToVisit(deviceAt(anyNode(), 'plug-1', devices.get('plug-1 0A01')))).toMatch(/not let in|ended/);
    admin = await stage.openAdmin();
    expect(await tryToVisit(deviceAt(anyNode(), 'plug-1', devices.get('plug-1 0A01')))).toMatch(/not let in|ended/);
    await admin.replaceAll([contractDevice()]);
    await device();
  });

  it('ends sessions of whom it lost while it was away', async () => {
    const plug = await device();
    await admin.close();
    admin = await stage.openAdmin({ auditIntervalMs: 500 });
    await admin.replaceAll([contractController()]);
    await plug.ended;
  });
});
