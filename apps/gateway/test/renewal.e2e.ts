import { once } from 'node:events';
import { Controller } from '@mqtt2go/controller-sdk';
import { type Credentials, Device, type DeviceOptions, type MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { DEVICE_VALIDITY_MS, readCertificate } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import type { KeyMode } from '@mqtt2go/protocol';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storeOf } from './support/device-store.js';
import { report } from './support/wire.js';
import { type AppCredentials, World } from './support/world.js';

/** The system's time, or one before it. */
class SettableClock extends Clock {
  behindMs = 0;
  override now(): number {
    return Date.now() - this.behindMs;
  }
}

const times = { backOff: { minMs: 20, maxMs: 200 } };

describe('a device whose certificate nears its end, on the real platform', () => {
  const clock = new SettableClock();
  let world: World;

  beforeAll(async () => {
    world = await World.create({ clock });
  });
  afterAll(() => world.close());

  /** Adds a device three quarters of a certificate's time ago. */
  async function addedLongAgo(keyMode: KeyMode) {
    const device = await world.mint({ keyMode, type: 'socket' });
    const app: AppCredentials = await world.app();
    const store = storeOf(device, world.ca, world.platform.file.ports.activation, keyMode);
    clock.behindMs = 0.76 * DEVICE_VALIDITY_MS;
    const running = new Device(store, { times });
    const controller = new Controller({ ...app, ca: world.ca });
    try {
      await controller.connect();
      const active = once(running, 'active');
      void running.run();
      await controller.addDevice({
        deviceId: device.deviceId,
        activationCode: device.code,
        deviceType: 'socket',
        naming: { name: 'Lamp', groupIds: ['living'] },
      });
      await active;
    } finally {
      await controller.close();
      await running.stop();
      clock.behindMs = 0;
    }
    return { store, app, deviceId: device.deviceId };
  }

  const serialOf = async (store: MemoryDeviceStore): Promise<string> =>
    readCertificate((await store.credentials())?.certificate ?? '').serialNumber;

  async function isTurnedAway(credentials: Credentials | undefined): Promise<boolean> {
    try {
      await (await connect(credentials)).close();
      return false;
    } catch {
      return true;
    }
  }

  const connectAs = async (store: MemoryDeviceStore) => connect(await store.credentials());

  const connect = (credentials: Credentials | undefined) =>
    world.connectHome({ cert: credentials?.certificate ?? '', key: credentials?.key ?? '' });

  async function liveOn(store: MemoryDeviceStore, until: () => Promise<boolean>, options: DeviceOptions = {}) {
    const device = new Device(store, { times, ...options });
    const ended = device.run();
    await waitFor(until, 'what the device is to come to', 20_000);
    await device.stop();
    await ended;
  }

  it.each(['existing-key', 'csr', 'server-key'] as const)(
    'has the next one without anybody’s doing, and the one before opens no door any more (%s)',
    async (keyMode) => {
      const { store, deviceId } = await addedLongAgo(keyMode);
      const before = await store.credentials();
      const first = await serialOf(store);
      // Its clock is in 1970: it goes by what the platform says.
      await liveOn(store, async () => (await serialOf(store)) !== first && !(await store.state()).toConfirm, {
        now: () => 1_000,
      });
      const details = readCertificate((await store.credentials())?.certificate ?? '');
      expect(details.commonName).toBe(deviceId);
      expect(details.notAfterMs).toBeGreaterThan(Date.now() + 0.9 * DEVICE_VALIDITY_MS);

      await waitFor(() => isTurnedAway(before), 'the end of the certificate before');
      const again = new Device(store, { times });
      const active = once(again, 'active');
      const ended = again.run();
      await active;
      await again.stop();
      await ended;
    },
  );

  it('is told where its home is, and which certificate is next, by nobody but the platform', async () => {
    const { store, app, deviceId } = await addedLongAgo('existing-key');
    const other = await addedLongAgo('existing-key');
    const before = await store.state();
    const device = new Device(store, { times });
    const said: string[] = [];
    device.on('notice', ({ kind }) => kind.startsWith('mov') && said.push(kind));
    const active = once(device, 'active');
    const ended = device.run();
    await active;
    const moved = {
      type: 'report',
      report_type: 'command_response',
      timestamp: 0,
      report_name: 'mqtt_credentials',
      value: { broker_ip: 'elsewhere.example' },
    };
    // The embedded broker ends the connection of whoever publishes where it may not; another one only takes no notice.
    for (const connect of [() => world.connectApp(app), async () => connectAs(other.store)]) {
      const wire = await connect();
      expect(await wire.subscribe(`${deviceId}/topics`)).toBe(false);
      await wire.publish(`${deviceId}/topics`, moved).catch(() => undefined);
      await wire.close();
    }
    const wire = await world.connectApp(app);
    const obeyed = once(device, 'command');
    const [topic = ''] = (await store.state()).topics;
    await wire.publish(topic, { type: 'command', timestamp: 0, command_type: 'set', value: 'on' });
    await obeyed;
    await device.stop();
    await ended;
    expect(said).toEqual([]);
    expect(await store.state()).toMatchObject({ broker: before.broker, topics: before.topics });
  });

  it('keeps the one it has until it has come with the next, though the answer is lost', async () => {
    const { store, deviceId } = await addedLongAgo('existing-key');
    const before = await store.credentials();
    const wire = await connect(before);
    const topic = `${deviceId}/topics`;
    await wire.subscribe(topic);
    const renew = {
      type: 'command',
      timestamp: 0,
      command_type: 'mqtt_credentials',
      value: { request: 'RENEW_CERTIFICATE', serial_number: await serialOf(store) },
    };
    const answers: string[] = [];
    for (let asked = 0; asked < 2; asked++) {
      await wire.publish(topic, renew);
      answers.push((await wire.hear(report('mqtt_credentials'))).text);
      wire.forget();
    }
    const [first, second] = answers.map((text): unknown => JSON.parse(text).value.device_certificate);
    expect(first).toContain('BEGIN CERTIFICATE');
    expect(second).toBe(first);
    await wire.close();
    expect(await isTurnedAway(before)).toBe(false);
  });
});
