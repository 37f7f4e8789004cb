import { provisioning } from '@mqtt2go/messaging';
import { Mqtt2goError, onboardingStateNames } from '@mqtt2go/protocol';
import type { ServiceHandle } from '@mqtt2go/runtime';
import { waitFor } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leaseMs } from './onboarding/onboarding-repository.js';
import { ProvisioningStand, type TestDevice } from './testing/provisioning-stand.js';

describe('after a death', () => {
  let stand: ProvisioningStand;

  beforeEach(async () => {
    stand = await ProvisioningStand.create();
  });
  afterEach(() => stand.close());

  /** Starts a service that does nothing more from the moment when it has stored `state`. */
  const startMortal = async (state: string): Promise<{ dead: Promise<void> }> => {
    const death = Promise.withResolvers<void>();
    let died = false;
    const service: ServiceHandle = await stand.start({
      onPersisted: (reached) => {
        if (died || reached !== state) return;
        died = true;
        service.stop().then(death.resolve, death.reject);
        throw new Error('killed');
      },
    });
    return { dead: death.promise };
  };

  /** What people and devices do: they ask again until they are answered. */
  const insist = async (device: TestDevice, until: () => boolean): Promise<void> => {
    const { deviceId } = device;
    while (!until()) {
      const { state } = await stand.onboarding(deviceId).catch(() => ({ state: 'unknown' }));
      if (state === 'unknown') await stand.activate(device);
      if (state === 'announced') await stand.claim(deviceId, 'a request').catch(() => undefined);
      if (state === 'claimed' || state === 'active') await stand.askForTopics(deviceId);
      if (state === 'awaiting-name') {
        await stand.askForTopics(deviceId);
        await stand.rename(deviceId);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  it.each([
    ...onboardingStateNames.slice(0, 6).map((state) => [state, 'existing-key'] as const),
    ...onboardingStateNames.slice(0, 6).flatMap((state) => (state === 'certified' ? [] : [[state, 'csr'] as const])),
  ])('at %s a device is added all the same (%s)', async (state, keyMode) => {
    const registrar = await stand.start();
    const device = await stand.mint({ key_mode: keyMode === 'csr' ? 'csr' : 'server-key' });
    const { deviceId } = device;
    await registrar.stop();
    const { dead } = await startMortal(state);
    let isDead = false;
    void dead.then(() => {
      isDead = true;
    });
    await insist(device, () => isDead);
    await stand.start();

    const hasTopics = (): boolean =>
      stand.heard.some(({ report_name: name, value }) => name === 'topics' && Array.isArray(value));
    await insist(device, hasTopics);
    const { onboardingId } = await stand.reach(deviceId, 'active');
    expect([...stand.neighbours.certificates.keys()]).toEqual([onboardingId]);
    await waitFor(() => stand.neighbours.settlements.length > 0, 'the settlement');
    expect(new Set(stand.neighbours.settlements.map(({ outcome }) => outcome))).toEqual(new Set(['completed']));
    await waitFor(() => !stand.discovery.waiting.has(deviceId), 'the withdrawal of the announcement');
    expect(stand.neighbours.withdrawals).toEqual([]);
  });

  it('an onboarding that nobody asks about any more goes on by itself, within seconds', async () => {
    const { dead } = await startMortal('requested');
    const device = await stand.mint();
    await stand.activate(device);
    await dead;
    const startedMs = performance.now();
    await stand.start();
    await stand.reach(device.deviceId, 'announced');
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('an undo that was stored and not carried out is carried out', async () => {
    const { dead } = await startMortal('cancelled');
    const device = await stand.mint();
    await stand.activate(device);
    const { onboardingId } = await stand.reach(device.deviceId, 'announced');
    const cancelled = stand.bus.call(provisioning.cancelOnboarding, { deviceId: device.deviceId }, { retries: 0 });
    await expect(cancelled).rejects.toBeDefined();
    await dead;
    await stand.start();
    await waitFor(
      () => stand.neighbours.withdrawals.length > 0 && !stand.discovery.waiting.has(device.deviceId),
      'the undo',
    );
    expect(stand.neighbours.withdrawals).toEqual([{ onboardingId, deviceId: device.deviceId }]);
  });

  it('two replicas that hear the same messages add each device once', async () => {
    await Promise.all([stand.start(), stand.start()]);
    const devices = await Promise.all(Array.from({ length: 12 }, () => stand.mint()));
    await Promise.all(
      devices.map(async (device, index) => {
        const topic = `home-3/gw-${index}/add_device`;
        stand.neighbours.gateways.add(`home-3/gw-${index}`);
        await stand.activate(device, { topic });
        await stand.bringToName(device.deviceId);
        await stand.rename(device.deviceId, { topic });
        const { onboardingId } = await stand.reach(device.deviceId, 'active');
        const ofThis = (each: { onboardingId: string }): boolean => each.onboardingId === onboardingId;
        expect(stand.neighbours.issues.filter(ofThis)).toHaveLength(1);
        expect(stand.neighbours.admissions.filter(ofThis)).toHaveLength(1);
        expect(stand.discovery.announcements.filter((each) => each.onboarding_id === onboardingId)).toHaveLength(1);
        await waitFor(() => stand.neighbours.settlements.some(ofThis), 'the settlement');
        expect(stand.neighbours.settlements.filter(ofThis)).toHaveLength(1);
      }),
    );
    expect(stand.neighbours.certificates.size).toBe(devices.length);
    expect(stand.neighbours.withdrawals).toEqual([]);
  });

  it('a step that takes long stays with whoever began it', async () => {
    await Promise.all([stand.start(), stand.start()]);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    stand.neighbours.before = (verb) => (verb === 'admit' ? held : undefined);
    const device = await stand.mint();
    await stand.activate(device);
    const { onboardingId } = await stand.reach(device.deviceId, 'requested');
    await waitFor(() => stand.neighbours.issues.length > 0, 'the certificate');
    const lease = async (): Promise<number> => {
      const [row] = await stand.query<{ lease_until: Date }>('SELECT lease_until FROM provisioning.onboarding');
      return row?.lease_until.getTime() ?? 0;
    };
    const first = await lease();
    await waitFor(async () => (await lease()) > first + 2 * leaseMs, 'the renewal of the lease');
    expect(stand.neighbours.issues.filter((issue) => issue.onboardingId === onboardingId)).toHaveLength(1);
    release();
    await stand.reach(device.deviceId, 'announced');
  });

  it('a step is taken up whose lease is from a future in which the clock was wrongly', async () => {
    const service = await stand.start();
    let isDown = true;
    stand.neighbours.before = async (verb) => {
      if (verb === 'admit' && isDown) throw new Mqtt2goError('unavailable');
    };
    const device = await stand.mint();
    await stand.activate(device);
    await waitFor(() => stand.neighbours.issues.length > 0, 'the certificate');
    await service.stop();
    await stand.query("UPDATE provisioning.onboarding SET lease_until = now() + interval '5 years'");
    isDown = false;
    await stand.start();
    await stand.reach(device.deviceId, 'announced');
  });

  it('has as much time as before when the time is corrected, whatever works on it', async () => {
    const { clock } = stand;
    await stand.start();
    const device = await stand.mint();
    await stand.activate(device);
    const { onboardingId } = await stand.reach(device.deviceId, 'announced');
    const left = async (): Promise<number> => {
      const [row] = await stand.query<{ deadline: Date }>('SELECT deadline FROM provisioning.onboarding');
      return (row?.deadline.getTime() ?? 0) - clock.now();
    };
    const before = await left();
    await clock.correct(400 * 86_400_000);
    expect(await left()).toBe(before);
    await stand.bringToName(device.deviceId);
    await clock.correct(-30 * 86_400_000);
    await stand.rename(device.deviceId);
    expect((await stand.reach(device.deviceId, 'active')).onboardingId).toBe(onboardingId);
  });
});
