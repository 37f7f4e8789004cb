import { Agent, request as httpRequest } from 'undici';
import { generateKeys, writePrivateKey } from '@mqtt2go/pki';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addDeviceTopic, activateDevice, getBrokerData, join, renameDevice, request } from '../support/joining.js';
import { refusal, type Wire } from '../support/wire.js';
import { type AppCredentials, createManufacturer, type Identity, type MintedDevice } from '../support/world.js';
import { Hole } from './support/hole.js';
import { SystemStack } from './support/system-stack.js';

const servicesDoors = ['bus:8886', 'home-0:8887', 'activation:8888'] as const;

describe('what is refused at the real doors, tried from outside', () => {
  let stack: SystemStack;
  let app: AppCredentials;
  let controller: Wire;
  let device: MintedDevice & { identity: Identity; topic: string };
  let homePort: number;
  let controllersPort: number;

  beforeAll(async () => {
    stack = await SystemStack.start({ homeBrokers: 1 });
    ({ devices: homePort, controllers: controllersPort } = stack.deployment.homes.get('home-0') ?? {
      devices: 0,
      controllers: 0,
    });
    app = await stack.app();
    controller = await stack.connectApp(app);
    const minted = await stack.mint();
    const { data, topics } = await join(stack, app, controller, minted);
    device = { ...minted, identity: { cert: data.cert, key: data.key }, topic: topics[0] ?? '' };
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${await stack.tailOfLogs()}\n`);
  });
  afterAll(() => stack?.close());

  /** A device that somebody made who is no manufacturer, in the name of a real one. */
  async function strangerAs(deviceId: string): Promise<Identity> {
    const stranger = await createManufacturer('Stranger');
    const keys = await generateKeys();
    const cert = stranger.issuePreloadedDevice({ deviceId, publicKey: keys.publicKey, nowMs: Date.now() });
    return { cert: stranger.withChain(cert.pem), key: writePrivateKey(keys.privateKey) };
  }

  describe('at the activation broker', () => {
    it('a certificate of a stranger', async () => {
      await expect(stack.connectToActivation(await strangerAs(device.deviceId))).rejects.toThrow();
    });

    it('nobody without a certificate', async () => {
      await expect(stack.connect(stack.deployment.activationPort, {})).rejects.toThrow();
    });

    it('the topic of another device, a wrong code, and wildcards', async () => {
      const other = await stack.mint();
      const place = await stack.app();
      await request(await stack.connectApp(place), place, other);
      const intruder = await stack.connectToActivation(await stack.mint());
      for (const filter of [`${other.code}/activation`, '+/activation', '#', '$CONTROL/#', '$SYS/#'])
        expect(await intruder.subscribe(filter), filter).toBe(false);
      const itself = await stack.connectToActivation(other);
      expect(await itself.subscribe('a-wrong-code/activation')).toBe(false);
      await itself.subscribe(`${other.code}/activation`);
      await intruder.publish(`${other.code}/activation`, getBrokerData());
      await itself.publish(`${other.code}/activation`, 'after');
      await itself.hear(({ text }) => text === 'after');
      expect(itself.heard.filter(({ text }) => text.includes('GET_BROKER_DATA'))).toEqual([]);
    });

    it('a device that nobody is adding', async () => {
      const early = await stack.mint();
      const wire = await stack.connectToActivation(early);
      expect(await wire.subscribe(`${early.code}/activation`)).toBe(false);
    });
  });

  describe('at the home broker', () => {
    it('a pre-loaded certificate, a stranger’s, and none', async () => {
      await expect(stack.connectHome(device)).rejects.toThrow();
      await expect(stack.connectHome(await strangerAs(device.deviceId))).rejects.toThrow();
      await expect(stack.connect(homePort, {})).rejects.toThrow();
    });

    it('topics of others', async () => {
      const home = await stack.connectHome(device.identity);
      const filters = [
        addDeviceTopic(app),
        `${app.homeId}/${app.gatewayId}/living/socket/other`,
        `${app.homeId}/#`,
        'other/topics',
        '+/topics',
        '#',
        '$CONTROL/#',
        '$SYS/#',
        '$share/provisioning/+/+/add_device',
      ];
      for (const filter of filters) expect(await home.subscribe(filter), filter).toBe(false);
      controller.forget();
      await controller.subscribe(addDeviceTopic(app));
      await home.publish(addDeviceTopic(app), renameDevice(device.deviceId));
      await controller.publish(addDeviceTopic(app), 'after');
      await controller.hear(({ text }) => text === 'after');
      expect(controller.heard.filter(({ json }) => json.command_type === 'rename_device')).toEqual([]);
    });

    it('the session of another device, by its client id', async () => {
      const other = await stack.mint();
      const place = await stack.app();
      const { data } = await join(stack, place, await stack.connectApp(place), other);
      const home = await stack.connectHome(device.identity);
      await home.subscribe(`${device.deviceId}/topics`);
      await stack.connectHome({ ...data, deviceId: device.deviceId });
      await home.publish(`${device.deviceId}/topics`, 'still here');
      await home.hear(({ text }) => text === 'still here');
      expect(home.client.connected).toBe(true);
    });

    it('a device at the controllers’ listener, and a controller at the devices’', async () => {
      await expect(stack.connect(controllersPort, device.identity)).rejects.toThrow();
      const { username, password } = app;
      await expect(stack.connect(homePort, { username, password })).rejects.toThrow();
      await expect(
        stack.connect(controllersPort, { ...device.identity, username: device.deviceId, password: '' }),
      ).rejects.toThrow();
    });

    it('a wrong password, and the password of another', async () => {
      const other = await stack.app();
      await expect(stack.connectApp({ ...app, password: 'guess' })).rejects.toThrow();
      await expect(stack.connectApp({ ...app, password: other.password })).rejects.toThrow();
    });

    it('a controller in another home', async () => {
      const thief = await stack.connectApp(await stack.app());
      for (const filter of [addDeviceTopic(app), device.topic, `${app.homeId}/#`, `${device.deviceId}/topics`, '#'])
        expect(await thief.subscribe(filter), filter).toBe(false);
      const home = await stack.connectHome(device.identity);
      await home.subscribe(device.topic);
      await thief.publish(device.topic, { type: 'command', timestamp: 1, command_type: 'set', value: 'stolen' });
      await controller.publish(device.topic, { type: 'command', timestamp: 1, command_type: 'set', value: 'on' });
      await home.hear(({ json }) => json.value === 'on');
      expect(home.heard.filter(({ json }) => json.value === 'stolen')).toEqual([]);
    });

    it('a certificate of a service, at the doors for everybody', async () => {
      const [cert, key] = await Promise.all([
        stack.deployment.read('operator', 'services', 'operator.crt'),
        stack.deployment.read('operator', 'services', 'operator.key'),
      ]);
      await expect(stack.connect(homePort, { cert, key })).rejects.toThrow();
      await expect(stack.connect(stack.deployment.activationPort, { cert, key })).rejects.toThrow();
    });
  });

  describe('at the doors for services, by somebody who got into their network', () => {
    let hole: Hole;
    let servicesCa: string;
    beforeAll(async () => {
      hole = await Hole.open(stack, [...servicesDoors, 'discovery:8443']);
      servicesCa = await stack.deployment.read('operator', 'services-ca.crt');
    });
    afterAll(() => hole?.close());

    const identityOf = async (service: 'provisioning' | 'topic-generator'): Promise<Identity> => {
      const read = (end: string) => stack.deployment.read('services', service, 'services', `${service}.${end}`);
      return { cert: await read('crt'), key: await read('key') };
    };

    it('not the services themselves', async () => {
      for (const door of ['bus:8886', 'home-0:8887'] as const) {
        const wire = await stack.connect(hole.port(door), { ...(await identityOf('provisioning')), ca: servicesCa });
        expect(wire.client.connected).toBe(true);
      }
      expect(await statusAtDiscovery(await identityOf('provisioning'))).toBe(400);
    });

    it.each(servicesDoors)('a device, a controller and nobody at %s', async (door) => {
      const port = hole.port(door);
      const { username, password } = app;
      for (const who of [device.identity, { cert: device.cert, key: device.key }, { username, password }, {}])
        await expect(stack.connect(port, { ...who, ca: servicesCa })).rejects.toThrow();
    });

    it('a device that is called like a service has no rights of a service', async () => {
      const keys = await generateKeys();
      const cert = (await createManufacturer('topic-generator')).issuePreloadedDevice({
        deviceId: 'topic-generator',
        publicKey: keys.publicKey,
        nowMs: Date.now(),
      });
      const identity = { cert: cert.pem, key: writePrivateKey(keys.privateKey), ca: servicesCa };
      for (const door of servicesDoors) await expect(stack.connect(hole.port(door), identity)).rejects.toThrow();
    });

    it('the operator where only other services have something to say', async () => {
      const read = (name: string) => stack.deployment.read('operator', 'services', name);
      const [cert, key] = await Promise.all([read('operator.crt'), read('operator.key')]);
      const wire = await stack.connect(hole.port('home-0:8887'), { cert, key, ca: servicesCa }).catch(() => undefined);
      if (wire === undefined) return;
      for (const filter of ['#', '$CONTROL/#', addDeviceTopic(app), device.topic]) {
        await wire.subscribe(filter);
      }
      await controller.publish(addDeviceTopic(app), activateDevice({ deviceId: 'nobody', code: 'none' }));
      await controller.hear(refusal('activate_device', 'device_type_unknown'));
      expect(wire.heard).toEqual([]);
    });

    it('whoever is not the service that announces devices, at the Discovery server’s own interface', async () => {
      const preloaded = { cert: device.cert, key: device.key };
      for (const identity of [device.identity, preloaded, {}, await identityOf('topic-generator')])
        expect(await statusAtDiscovery(identity).catch(() => 'no connection')).toSatisfy(
          (status: number | string) => status === 'no connection' || status === 401 || status === 403,
        );
    });

    async function statusAtDiscovery(identity: Partial<Identity>): Promise<number> {
      const url = `https://localhost:${hole.port('discovery:8443')}/activate_device`;
      const dispatcher = new Agent({ connect: { ca: await stack.ca(), ...identity } });
      try {
        const headers = { 'content-type': 'application/json' };
        const { statusCode, body } = await httpRequest(url, { dispatcher, method: 'POST', headers, body: '{}' });
        await body.dump();
        return statusCode;
      } finally {
        await dispatcher.close();
      }
    }
  });
});
