import { BrokerFinder, Device, type MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { waitFor } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AheadClock } from './support/ahead-clock.js';
import { storeOf } from './support/device-store.js';
import { GatewayPair, inDatabase } from './support/gateway-pair.js';
import { activateDevice, addDeviceTopic, renameDevice } from './support/joining.js';
import { report, type Wire } from './support/wire.js';
import type { AppCredentials, MintedDevice, World } from './support/world.js';

const hourMs = 3_600_000;

describe('a home that moves while a device waits for its name', () => {
  const clock = new AheadClock();
  let pair: GatewayPair;
  let app: AppCredentials;
  let made: MintedDevice;
  let store: MemoryDeviceStore;
  let device: Device;
  let active: Promise<readonly string[]>;

  const isAskedForName = (person: Wire) =>
    person.hear(report('rename_device', (value) => (value as { device_type?: string }).device_type !== undefined));

  beforeEach(async () => {
    clock.reset();
    pair = await GatewayPair.create({ clock, moverTimes: { tellingMs: 5_000, betweenBatchesMs: 10, batchSize: 10 } });
    const { gateway, homeId, gatewayId } = pair;
    app = await gateway.app(homeId, gatewayId);
    const person = await gateway.connectApp(app);
    made = await gateway.mint();
    store = storeOf(made, gateway.ca, pair.cloud.platform.file.ports.activation);
    device = new Device(store, {
      finder: new BrokerFinder(async () => ({ host: 'localhost', port: gateway.platform.file.ports.home })),
      times: { backOff: { minMs: 50, maxMs: 500 }, askAgainMs: 300 },
    });
    active = new Promise((resolve) => device.once('active', resolve));
    await person.subscribe(addDeviceTopic(app));
    await person.publish(addDeviceTopic(app), activateDevice(made));
    device.run().catch(() => undefined);
    await isAskedForName(person);
  });
  afterEach(async () => {
    await device.stop();
    await pair.close();
  });

  /** Moves the home, and resolves when the device waits at its broker there. */
  const move = async (to: 'remote' | 'local'): Promise<Wire> => {
    const target = to === 'remote' ? pair.cloud : pair.gateway;
    await pair.move(to);
    await waitFor(
      async () => (await store.state()).broker?.port === target.platform.file.ports.home,
      `the device to wait where its home is (${to})`,
      30_000,
    );
    expect(await pair.ended()).toMatchObject({ state: 'moved', to, devices: 1 });
    expect((await store.state()).phase).toBe('joined');
    const person = await target.connectApp(app);
    await person.subscribe(addDeviceTopic(app));
    await isAskedForName(person);
    return person;
  };
  const onboardingAt = (world: World): Promise<{ state: string; outcome: string | null; revoked: boolean }> =>
    inDatabase(world, async (client) => {
      const { rows } = await client.query(
        `SELECT o.state, s.outcome, c.revoked_at IS NOT NULL AS revoked FROM provisioning.onboarding o
         JOIN certificate_authority.onboarding_certificate s USING (onboarding_id)
         JOIN certificate_authority.device_certificate c USING (serial_number) WHERE o.device_id = $1`,
        [made.deviceId],
      );
      return rows[0];
    });

  it('takes it along: the person names it at the new broker, and the old side takes nothing back', async () => {
    const before = await store.credentials();
    const person = await move('remote');
    await person.publish(addDeviceTopic(app), renameDevice(made.deviceId));
    const own = `${app.homeId}/${app.gatewayId}/living/${made.type}/${made.deviceId}`;
    expect(await active).toEqual([own]);
    expect(await store.credentials()).toEqual(before);
    const obeyed = new Promise((resolve) => device.once('command', resolve));
    await person.publish(own, { type: 'command', timestamp: 1, command_type: 'set', value: 'on' });
    expect(await obeyed).toMatchObject({ topic: own, commandType: 'set', value: 'on' });
    await waitFor(async () => (await onboardingAt(pair.gateway)).outcome === 'completed', 'the end at the gateway');
    await waitFor(async () => (await onboardingAt(pair.cloud)).outcome === 'completed', 'the end in the cloud');
    for (const side of [pair.gateway, pair.cloud]) {
      expect(await onboardingAt(side)).toEqual({ state: 'active', outcome: 'completed', revoked: false });
    }
  });

  it('takes it along and back; its time runs out where the home is, and its certificate is revoked there', async () => {
    await move('remote');
    await move('local');
    expect(await onboardingAt(pair.gateway)).toEqual({ state: 'awaiting-name', outcome: null, revoked: false });
    const startsAnew = new Promise<void>((resolve) => {
      device.on('phase', (phase) => phase === 'factory' && resolve());
    });
    clock.advance(25 * hourMs);
    await startsAnew;
    await waitFor(async () => (await onboardingAt(pair.gateway)).revoked, 'the certificate to be revoked');
    expect(await onboardingAt(pair.gateway)).toEqual({ state: 'expired', outcome: 'abandoned', revoked: true });
  });
});
