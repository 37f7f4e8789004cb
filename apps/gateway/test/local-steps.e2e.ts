import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { provisioning } from '@mqtt2go/messaging';
import { generateKeys, splitPem, writePrivateKey } from '@mqtt2go/pki';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  activateDevice,
  addDeviceTopic,
  fetchBrokerData,
  getDeviceTopics,
  now,
  renameDevice,
  request,
} from './support/joining.js';
import { AccessPoint, askForCredentials, getCredentials, getWifiCredentials, setWifi } from './support/local-house.js';
import { refusal, report, type Wire } from './support/wire.js';
import { type AppCredentials, type MintedDevice, World } from './support/world.js';

describe('setup with a gateway in the house, over real sockets and TLS', () => {
  let accessPoint: AccessPoint;
  let world: World;
  let app: AppCredentials;
  let controller: Wire;

  beforeAll(async () => {
    accessPoint = await AccessPoint.create();
    process.env.TEST_ACCESS_POINT = accessPoint.file;
    world = await World.create({ env: accessPoint.env });
  });
  afterAll(async () => {
    await world.close();
    await accessPoint.close();
  });
  /** The access point is one, and lets one device in at a time. */
  const mint = async (options: Parameters<World['mint']>[0] = {}): Promise<MintedDevice> => {
    const device = await world.mint(options);
    onTestFinished(async () => {
      await world.operator.call(provisioning.cancelOnboarding, { deviceId: device.deviceId });
      await waitFor(async () => (await accessPoint.open()) === undefined, 'the end of the guest network');
    });
    return device;
  };
  beforeEach(async () => {
    app = await world.app();
    controller = await world.connectApp(app);
  });

  /** The key stands behind the certificates, if there is one. */
  const split = (bundle: unknown, ownKey: string): { cert: string; key: string } => {
    const blocks = splitPem(String(bundle));
    const pem = (isKey: boolean): string =>
      blocks
        .filter(({ label }) => (label === 'PRIVATE KEY') === isKey)
        .map((block) => block.pem)
        .join('\n');
    return { cert: pem(false), key: pem(true) || ownKey };
  };

  /** Steps 8 to 13, on the host and port that the device found. */
  const moveIn = async (device: MintedDevice, identity: { cert: string; key: string }): Promise<void> => {
    const home = await world.connectHome({ ...identity, deviceId: device.deviceId });
    const topic = `${device.deviceId}/topics`;
    await home.subscribe(topic);
    await home.publish(topic, getDeviceTopics());
    await controller.hear(
      report('rename_device', (value) => (value as { device_id?: string }).device_id === device.deviceId),
    );
    await controller.publish(addDeviceTopic(app), renameDevice(device.deviceId));
    const { json } = await home.hear(report('topics'));
    const own = `${app.homeId}/${app.gatewayId}/living/${device.type}/${device.deviceId}`;
    expect(json.value).toEqual([own]);
    expect(await home.subscribe(own)).toBe(true);
    await controller.publish(own, { type: 'command', timestamp: now(), command_type: 'set', value: 'on' });
    await home.hear(({ topic: heard, json: command }) => heard === own && command.command_type === 'set');
  };

  it('needs one port, whose certificate names MQTT2GO.local, and no Discovery server', async () => {
    const { ports, profile } = world.platform.file;
    expect(profile).toBe('local-gateway');
    expect(ports.discovery).toBeUndefined();
    expect(ports.activation).toBe(ports.home);
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port: ports.home,
      servername: 'MQTT2GO.local',
      ca: world.ca,
    });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    expect(socket.getPeerX509Certificate()?.checkHost('MQTT2GO.local')).toBeDefined();
    socket.destroy();
  });

  it('adds a device with each topic and message of the page', async () => {
    const device = await mint({ type: 'socket' });
    await request(controller, app, device);
    const activation = await world.connectToActivation(device);
    const topic = `${device.code}/activation`;
    expect(await activation.subscribe(topic)).toBe(true);
    await activation.publish(topic, getCredentials());
    const answer = await activation.hear(report('mqtt_credentials'));
    expect(answer.topic).toBe(topic);
    expect(answer.json).toEqual({
      type: 'report',
      report_type: 'command_response',
      timestamp: expect.any(Number),
      report_name: 'mqtt_credentials',
      value: expect.stringContaining('BEGIN CERTIFICATE'),
    });
    expect(answer.text).not.toContain('PRIVATE KEY');
    expect(new X509Certificate(String(answer.json.value)).subject).toContain(`CN=${device.deviceId}`);
    await activation.close();
    await moveIn(device, split(answer.json.value, device.key));
  });

  it('lets a device in that has no certificate, by its id and its code', async () => {
    const device = await mint({ keyMode: 'server-key' });
    await request(controller, app, device);
    const bundle = await askForCredentials(await world.connectByAccount(device), device.code);
    const identity = split(bundle, '');
    expect(identity.key).toContain('PRIVATE KEY');
    await moveIn(device, identity);
  });

  it('certifies a key that the device made itself', async () => {
    const device = await mint({ keyMode: 'csr' });
    const own = await generateKeys();
    await request(controller, app, device);
    const wire = await world.connectToActivation(device);
    expect(await askForCredentials(wire, device.code)).toEqual({ event: 'error', reason: 'csr_required' });
    const csr = world.csr(device.deviceId, own);
    const bundle = await askForCredentials(wire, device.code, { request: 'GET_CREDENTIALS', csr });
    expect(bundle).not.toContain('PRIVATE KEY');
    await moveIn(device, { cert: String(bundle), key: writePrivateKey(own.privateKey) });
  });

  it('answers the same when the device asks again, and in the words of a Discovery server, too', async () => {
    const device = await mint();
    await request(controller, app, device);
    const wire = await world.connectToActivation(device);
    const first = await askForCredentials(wire, device.code);
    expect(await askForCredentials(wire, device.code)).toEqual(first);
    const data = await fetchBrokerData(world, device);
    expect(data.cert).toBe(split(first, '').cert);
    expect([data.brokerIp, data.brokerPort]).toEqual(['localhost', world.platform.file.ports.home]);
  });

  it('opens the guest network under the code for as long as the device may come, and tells the controller', async () => {
    const device = await mint();
    await request(controller, app, device);
    await waitFor(() => accessPoint.open(), 'the guest network');
    expect(await accessPoint.open()).toMatchObject({ method: 'guest', ssid: 'MQTT2GO', passphrase: device.code });
    const told = await controller.hear(
      report('activate_device', (value) => (value as { network?: unknown }).network !== undefined),
    );
    expect(told.json.value).toMatchObject({
      device_id: device.deviceId,
      network: {
        method: 'guest',
        ssid: 'MQTT2GO',
        instructions: expect.stringContaining('MQTT2GO'),
        closes_at: expect.any(Number),
      },
    });
    expect(told.text).not.toContain(device.code);
    const wire = await world.connectToActivation(device);
    await moveIn(device, split(await askForCredentials(wire, device.code), device.key));
    await waitFor(async () => (await accessPoint.open()) === undefined, 'the end of the guest network');
  });

  it('gives the Wi-Fi of the home to a device on the guest network, once in its activation', async () => {
    await setWifi(world, app);
    const device = await mint();
    await request(controller, app, device);
    const wire = await world.connectToActivation(device);
    const topic = `${device.code}/wifi`;
    expect(await wire.subscribe(topic)).toBe(true);
    await wire.publish(topic, getWifiCredentials());
    const answer = await wire.hear(report('wifi_credentials'));
    expect(answer.topic).toBe(topic);
    expect(answer.json.value).toEqual({ SSID: 'Our home', password: 'correct horse' });
    wire.forget();
    await wire.publish(topic, getWifiCredentials());
    await wire.hear(refusal('wifi', 'wifi_already_handed_out'));
    expect(JSON.stringify(wire.heard)).not.toContain('correct horse');
    await moveIn(device, split(await askForCredentials(wire, device.code), device.key));
  });

  it('keeps the Wi-Fi for who asks next: shown by its name, replaced, removed', async () => {
    const { homeId, gatewayId } = app;
    const place = { homeId, gatewayId };
    await expect(world.operator.call(provisioning.showWifi, place)).rejects.toMatchObject({ code: 'wifi_not_set' });
    await setWifi(world, app, 'Old');
    await setWifi(world, app, 'Ours');
    const shown = await world.operator.call(provisioning.showWifi, place);
    expect(shown).toEqual({ ssid: 'Ours', setAt: expect.any(String) });
    await world.operator.call(provisioning.removeWifi, place);
    await world.operator.call(provisioning.removeWifi, place);
    const device = await mint();
    await request(controller, app, device);
    const wire = await world.connectToActivation(device);
    await wire.subscribe(`${device.code}/wifi`);
    await wire.publish(`${device.code}/wifi`, getWifiCredentials());
    await wire.hear(refusal('wifi', 'wifi_not_set'));
  });

  it('goes on where it was after a stop and a start, and in the other profile', async () => {
    const own = await World.create({ env: accessPoint.env });
    try {
      const place = await own.app();
      const device = await own.mint();
      const person = await own.connectApp(place);
      await request(person, place, device);
      await own.restart();
      const bundle = await askForCredentials(await own.connectToActivation(device), device.code);
      own.options = { env: { MQTT2GO_PROFILE: 'remote-broker' } };
      await own.restart();
      expect(own.platform.file.ports.discovery).toEqual(expect.any(Number));
      const data = await fetchBrokerData(own, device);
      expect(data.cert).toBe(split(bundle, '').cert);
      const home = await own.connectHome({ ...data, deviceId: device.deviceId });
      expect(await home.subscribe(`${device.deviceId}/topics`)).toBe(true);
      const again = await own.connectApp(place);
      const other = await own.mint();
      await again.subscribe(addDeviceTopic(place));
      await again.publish(addDeviceTopic(place), activateDevice(other));
      await again.hear(refusal('activate_device', 'another_device_is_being_added'));
    } finally {
      await own.close();
    }
  });
});
