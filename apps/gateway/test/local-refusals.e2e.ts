import { rm, writeFile } from 'node:fs/promises';
import { discovery, provisioning } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { AheadClock } from './support/ahead-clock.js';
import {
  activateDevice,
  addDeviceTopic,
  announced,
  getBrokerData,
  getDeviceTopics,
  now,
  renameDevice,
  request,
} from './support/joining.js';
import { AccessPoint, askForCredentials, getCredentials, getWifiCredentials, setWifi } from './support/local-house.js';
import { refusal, report, Wire } from './support/wire.js';
import { type AppCredentials, type MintedDevice, World } from './support/world.js';

describe('what a gateway in the house refuses, tried from outside', () => {
  const clock = new AheadClock();
  let accessPoint: AccessPoint;
  let world: World;
  let app: AppCredentials;
  let controller: Wire;
  let topic: string;

  beforeAll(async () => {
    accessPoint = await AccessPoint.create();
    process.env.TEST_ACCESS_POINT = accessPoint.file;
    world = await World.create({ clock, env: accessPoint.env });
  });
  afterAll(async () => {
    await world.close();
    await accessPoint.close();
  });
  beforeEach(async () => {
    app = await world.app();
    controller = await world.connectApp(app);
    topic = addDeviceTopic(app);
    await controller.subscribe(topic);
  });

  const isClosed = () => waitFor(async () => (await accessPoint.open()) === undefined, 'the end of the guest network');
  /** The access point is one, and lets one device in at a time. */
  const mint = async (): Promise<MintedDevice> => {
    const device = await world.mint();
    onTestFinished(async () => {
      await world.operator.call(provisioning.cancelOnboarding, { deviceId: device.deviceId }).catch(() => undefined);
      await isClosed();
    });
    return device;
  };
  /** Steps 6 to 9, up to the question for the name. */
  const arrive = async (device: MintedDevice): Promise<Wire> => {
    const bundle = await askForCredentials(await world.connectToActivation(device), device.code);
    const home = await world.connectHome({ cert: String(bundle), key: device.key, deviceId: device.deviceId });
    await home.subscribe(`${device.deviceId}/topics`);
    await home.publish(`${device.deviceId}/topics`, getDeviceTopics());
    await controller.hear(report('rename_device'));
    return home;
  };
  const accountFails = (deviceId: string, code: string) =>
    expect(world.connectByAccount({ deviceId, code })).rejects.toThrow(/Bad username or password|Not authorized/);

  describe('an initialization client', () => {
    // Each further refusal comes twice as late, so that none of the ways tries them all; the broker's own tests do.
    it.each([
      [
        'an account',
        (device: MintedDevice) => world.connectByAccount(device),
        ['+/activation', 'HOME/#', '#', 'OTHER/wifi'],
      ],
      [
        'a certificate',
        (device: MintedDevice) => world.connectToActivation(device),
        ['CODE/+', 'HOME/GW/add_device', 'DEVICE/topics', '$SYS/#'],
      ],
    ])('reaches no topic but the two of the device that is being added, by %s', async (_way, connect, filters) => {
      const device = await mint();
      const other = await world.mint();
      await request(controller, app, device);
      controller.forget();
      const wire = await connect(device);
      await wire.publish(topic, activateDevice(other));
      await wire.publish(`${other.code}/activation`, getCredentials());
      for (const filter of filters) {
        const one = filter
          .replace('CODE', device.code)
          .replace('OTHER', other.code)
          .replace('HOME', app.homeId)
          .replace('GW', app.gatewayId)
          .replace('DEVICE', device.deviceId);
        expect([one, await wire.subscribe(one)]).toEqual([one, false]);
      }
      // Later on the same connection, and so handled after those before it.
      expect(await askForCredentials(wire, device.code)).toContain('BEGIN CERTIFICATE');
      expect(await wire.subscribe(`${device.code}/wifi`)).toBe(true);
      expect(controller.heard.filter(({ text }) => text.includes(other.deviceId))).toEqual([]);
    });

    it('has no account before its device is added, with another code, and after that has ended', async () => {
      const device = await mint();
      await accountFails(device.deviceId, device.code);
      await request(controller, app, device);
      await accountFails(device.deviceId, 'another code');
      await accountFails('another-device', device.code);
      const wire = await world.connectByAccount(device);
      const gone = wire.closed();
      await world.operator.call(provisioning.cancelOnboarding, { deviceId: device.deviceId });
      await gone;
      await accountFails(device.deviceId, device.code);
    });

    it('that guesses the code is slowed, and the right one still gets in', async () => {
      const device = await mint();
      await request(controller, app, device);
      const startedMs = performance.now();
      for (let guess = 0; guess < 4; guess += 1) await accountFails(device.deviceId, `guess-${guess}`);
      // 0, 100, 200 and 400 ms.
      expect(performance.now() - startedMs).toBeGreaterThan(650);
      await world.connectByAccount(device);
    });

    it('gets nothing without TLS', async () => {
      const device = await mint();
      await request(controller, app, device);
      const { home } = world.platform.file.ports;
      const { deviceId: username, code: password } = device;
      await expect(
        Wire.connect(`mqtt://localhost:${home}`, { username, password, connectTimeout: 2_000 }),
      ).rejects.toThrow();
    });
  });

  it('a pre-loaded certificate without an activation: it is let in, and reaches nothing', async () => {
    const device = await mint();
    const wire = await world.connectToActivation(device);
    for (const one of [`${device.code}/activation`, `${device.code}/wifi`, `${device.deviceId}/topics`]) {
      expect(await wire.subscribe(one)).toBe(false);
    }
  });

  it('two devices at once: the second is refused, and the network stays the first one’s', async () => {
    const first = await mint();
    const second = await world.mint();
    await request(controller, app, first);
    await waitFor(() => accessPoint.open(), 'the guest network');
    await controller.publish(topic, activateDevice(second));
    await controller.hear(refusal('activate_device', 'another_device_is_being_added'));
    expect(await accessPoint.open()).toMatchObject({ passphrase: first.code });
    await accountFails(second.deviceId, second.code);
  });

  it('an operational certificate on the activation topics, and the pre-loaded one on the home’s', async () => {
    const device = await mint();
    await request(controller, app, device);
    const home = await arrive(device);
    for (const one of [`${device.code}/activation`, `${device.code}/wifi`, '+/activation']) {
      expect(await home.subscribe(one)).toBe(false);
    }
    const preloaded = await world.connectToActivation(device);
    expect(await preloaded.subscribe(`${device.deviceId}/topics`)).toBe(false);
  });

  it('whatever comes after the 15 minutes: no account, no topic, no network', async () => {
    const device = await mint();
    await setWifi(world, app);
    await request(controller, app, device);
    await waitFor(() => accessPoint.open(), 'the guest network');
    const wire = await world.connectToActivation(device);
    expect(await wire.subscribe(`${device.code}/activation`)).toBe(true);
    onTestFinished(() => clock.reset());
    clock.advance(15 * 60_000);
    wire.forget();
    // The broker may have closed the connection by now, and mqtt.js leaves what it was asked for pending then.
    const gone = wire.closed();
    const tries = [wire.subscribe(`${device.code}/wifi`), wire.publish(`${device.code}/activation`, getCredentials())];
    const [granted] = await Promise.race([Promise.all(tries), gone.then(() => [false])]);
    expect(granted).toBe(false);
    await gone;
    await controller.hear(refusal('activate_device', 'activation_expired'));
    await isClosed();
    await accountFails(device.deviceId, device.code);
    expect(wire.heard.filter(report('mqtt_credentials', (value) => typeof value === 'string'))).toEqual([]);
  });

  it('after the device has arrived: its entry is gone, and its network with it', async () => {
    const device = await mint();
    await request(controller, app, device);
    await waitFor(() => accessPoint.open(), 'the guest network');
    await arrive(device);
    await isClosed();
    const isOut = (): Promise<boolean> =>
      world.connectByAccount(device).then(
        () => false,
        () => true,
      );
    await waitFor(isOut, 'the end of the account');
    await accountFails(device.deviceId, device.code);
  });

  describe('the Wi-Fi', () => {
    const ask = async (wire: Wire, device: MintedDevice): Promise<void> => {
      wire.forget();
      await wire.subscribe(`${device.code}/wifi`);
      await wire.publish(`${device.code}/wifi`, getWifiCredentials());
    };

    it('asked twice, on whichever connection; told again only when the person has asked for the device again', async () => {
      await setWifi(world, app);
      const device = await mint();
      await request(controller, app, device);
      const byCertificate = await world.connectToActivation(device);
      await ask(byCertificate, device);
      await byCertificate.hear(report('wifi_credentials'));
      await byCertificate.close();
      const byAccount = await world.connectByAccount(device);
      await ask(byAccount, device);
      await byAccount.hear(refusal('wifi', 'wifi_already_handed_out'));
      await byAccount.close();

      // More than the 5 seconds in which a request is the same one, delivered twice.
      onTestFinished(() => clock.reset());
      clock.advance(6_000);
      controller.forget();
      await controller.publish(topic, activateDevice(device));
      await controller.hear(announced(device.deviceId));
      const again = await world.connectToActivation(device);
      await ask(again, device);
      expect((await again.hear(report('wifi_credentials'))).json.value).toEqual({
        SSID: 'Our home',
        password: 'correct horse',
      });
    });

    it('of another home', async () => {
      await setWifi(world, await world.app());
      const device = await mint();
      await request(controller, app, device);
      const wire = await world.connectToActivation(device);
      await ask(wire, device);
      await wire.hear(refusal('wifi', 'wifi_not_set'));
    });

    it('of no home, with a name or a password that is none', async () => {
      const { homeId, gatewayId } = app;
      const set = (change: object) =>
        world.operator.call(provisioning.setWifi, {
          homeId,
          gatewayId,
          ssid: 'Ours',
          password: 'correct horse',
          ...change,
        });
      await expect(set({ homeId: 'no-home' })).rejects.toMatchObject({ code: 'unknown_home' });
      for (const change of [
        { ssid: '' },
        { ssid: 'x'.repeat(33) },
        { ssid: 'ü'.repeat(17) },
        { ssid: 'a\nb' },
        { password: 'short' },
        { password: 'x'.repeat(64) },
        { password: 'line\nbreak' },
      ]) {
        await expect(set(change)).rejects.toMatchObject({ code: 'malformed_message' });
      }
    });
  });

  it('an access point that fails keeps nobody out; it is told, and opened when it is back', async () => {
    const away = `${accessPoint.file}.away`;
    onTestFinished(() => rm(away, { force: true }));
    const device = await mint();
    await writeFile(away, '');
    await request(controller, app, device);
    await controller.hear(
      report('activate_device', (value) => JSON.stringify(value).includes('in the network already can go on')),
    );
    expect(await accessPoint.open()).toBeUndefined();
    await rm(away);
    await waitFor(() => accessPoint.open(), 'the guest network');
    await writeFile(away, '');
    const home = await arrive(device);
    await controller.publish(topic, renameDevice(device.deviceId));
    await home.hear(report('topics'));
    await rm(away);
    await isClosed();
  });

  it('broken messages get a coded report, and the next one is served', async () => {
    const device = await mint();
    await request(controller, app, device);
    const wire = await world.connectByAccount(device);
    for (const [where, name] of [
      [`${device.code}/activation`, 'mqtt_credentials'],
      [`${device.code}/wifi`, 'wifi'],
    ] as const) {
      await wire.subscribe(where);
      for (const broken of ['{', 'null', '{"type":"command","timestamp":1,"command_type":"wifi","value":{}}']) {
        wire.forget();
        await wire.publish(where, broken);
        const { json } = await wire.hear(({ topic: heard, json: { type } }) => heard === where && type === 'report');
        expect(json).toMatchObject({ report_name: name, value: { event: 'error' } });
      }
    }
    expect(await askForCredentials(wire, device.code)).toContain('BEGIN CERTIFICATE');
  });

  it('announcements by anybody but provisioning', async () => {
    const announcement = {
      device_id: 'thief',
      activation_code: 'CODE',
      onboarding_id: crypto.randomUUID(),
      revision: '1.0',
      broker_ip: 'evil.example',
      key_mode: 'csr',
      expires_at: new Date(Date.now() + 60_000).toISOString(),
    } as const;
    const call = world.operator.call(discovery.announceActivation, announcement, { timeoutMs: 1_000, retries: 0 });
    await expect(call).rejects.toMatchObject({ code: expect.stringMatching(/forbidden|timeout/) });
    await accountFails('thief', 'CODE');
  });
});

describe('a Discovery server', () => {
  it('does not answer what is for a gateway in the house', async () => {
    const world = await World.create();
    onTestFinished(() => world.close());
    const app = await world.app();
    const controller = await world.connectApp(app);
    const device = await world.mint();
    await request(controller, app, device);
    const wire = await world.connectToActivation(device);
    expect(await askForCredentials(wire, device.code)).toEqual({ event: 'error', reason: 'unknown_command' });
    await wire.subscribe(`${device.code}/wifi`);
    await wire.publish(`${device.code}/wifi`, getWifiCredentials());
    await wire.hear(refusal('wifi', 'unknown_command'));
    await wire.publish(`${device.code}/activation`, { ...getBrokerData(), timestamp: now() });
    await wire.hear(report('mqtt_credentials', (value) => JSON.stringify(value).includes('broker_ip')));
    await expect(world.connectByAccount(device)).rejects.toThrow();
  });
});
