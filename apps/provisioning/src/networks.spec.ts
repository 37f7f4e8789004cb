import { provisioning } from '@mqtt2go/messaging';
import { FakeAccessPoint, FakeNetworkJoin } from '@mqtt2go/ports';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NetworkAccess } from './network/networks.js';
import { ProvisioningStand, type TestDevice } from './testing/provisioning-stand.js';

const minuteMs = 60_000;

describe('the network of a device that is being added', () => {
  let stand: ProvisioningStand;
  let accessPoint: FakeAccessPoint;
  let join: FakeNetworkJoin;
  const topic = 'home-1/gw-1/add_device';

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
  });
  afterAll(() => stand.close());
  beforeEach(() => {
    accessPoint = new FakeAccessPoint();
  });
  afterEach(() => stop());

  const start = async (method?: NetworkAccess['method']): Promise<void> => {
    join = new FakeNetworkJoin(accessPoint, { clock: stand.clock, tickMs: 20 });
    await join.start();
    await stand.start({ network: { join, method } });
  };
  const stop = async (): Promise<void> => {
    await stand.services.at(-1)?.stop();
    await join.stop();
  };
  const opened = () => waitFor(() => accessPoint.opening, 'the network');
  const closed = () => waitFor(() => accessPoint.opening === undefined, 'the end of the network');
  const request = async (): Promise<TestDevice> => {
    const device = await stand.mint();
    await stand.activate(device, { topic });
    await stand.reach(device.deviceId, 'announced');
    return device;
  };
  const cancel = ({ deviceId }: TestDevice) => stand.bus.call(provisioning.cancelOnboarding, { deviceId });

  it('is the guest network under the code, until the device is at its home', async () => {
    await start();
    const device = await request();
    const { onboardingId } = await stand.onboarding(device.deviceId);
    const opening = await opened();
    expect(opening).toMatchObject({ activationId: onboardingId, method: 'guest', ssid: 'MQTT2GO' });
    expect(opening.passphrase.reveal()).toBe(device.activationCode);
    const { value } = await stand.report((heard) => JSON.stringify(heard.value).includes('"network"'));
    expect(value).toMatchObject({ device_id: device.deviceId, network: { method: 'guest', ssid: 'MQTT2GO' } });
    await stand.claim(device.deviceId);
    await stand.bringToNameFromClaim(device.deviceId);
    await closed();
    await cancel(device);
  });

  it('is the push button where that is wanted, for two minutes of the activation at most', async () => {
    await start('wps');
    const device = await request();
    expect(await opened()).toMatchObject({ method: 'wps', openMs: 2 * minuteMs });
    accessPoint.report({ kind: 'wps-succeeded' });
    await closed();
    await cancel(device);
  });

  it('is the push button for a code that is too short for a password', async () => {
    await start();
    const device = { ...stand.someDevice(), activationCode: 'SHORT' };
    await stand.activate(device, { topic, device_type: 'socket' });
    expect(await opened()).toMatchObject({ method: 'wps' });
    await cancel(device);
    await closed();
  });

  it.each(['cancelled', 'expired', 'replaced'])('is gone when the activation is %s', async (how) => {
    await start();
    const device = await request();
    const opening = await opened();
    if (how === 'cancelled') await cancel(device);
    if (how === 'expired') stand.clock.advance(15 * minuteMs);
    if (how === 'replaced') {
      const { onboardingId } = await stand.onboarding(device.deviceId);
      await stand.activate({ ...device }, { topic, device_type: 'camera' });
      await waitFor(async () => (await stand.onboarding(device.deviceId)).onboardingId !== onboardingId);
      // The later one gets its own as soon as the earlier one's is closed.
      await waitFor(() => accessPoint.opening && accessPoint.opening.activationId !== opening.activationId);
      await cancel(device);
    }
    await closed();
  });

  it('stays open, and is not opened anew, when the clock is corrected', async () => {
    await start();
    const device = await request();
    const opening = await opened();
    const byMs = 60 * minuteMs;
    await stand.clock.correct(byMs);
    await stand.claim(device.deviceId);
    const { value } = await stand.report((heard) => {
      const text = JSON.stringify(heard.value);
      return text.includes(device.deviceId) && text.includes('"claimed"');
    });
    expect(value).toMatchObject({ network: { closes_at: Math.floor((opening.closesAt + byMs) / 1_000) } });
    expect(accessPoint.opening).toBe(opening);
    await cancel(device);
    await closed();
  });

  it('is opened anew, with all of its time, when the person asks again', async () => {
    await start('wps');
    const device = await request();
    const first = await opened();
    stand.clock.advance(minuteMs);
    await stand.activate(device, { topic });
    await waitFor(() => accessPoint.opening && accessPoint.opening.closesAt > first.closesAt, 'a new window');
    await cancel(device);
    await closed();
  });

  it('is opened again after a stop and a start, not longer than before, and for nobody whose time is over', async () => {
    await start();
    const device = await request();
    const first = await opened();
    stand.clock.advance(minuteMs);
    await stop();
    expect(accessPoint.opening).toBeUndefined();
    await start();
    const second = await opened();
    expect([second.activationId, second.closesAt]).toEqual([first.activationId, first.closesAt]);
    await stop();
    stand.clock.advance(15 * minuteMs);
    await start();
    await stand.reach(device.deviceId, 'expired');
    expect(accessPoint.opening).toBeUndefined();
  });

  it('keeps nobody out when the access point does not answer, is told of and tried again', async () => {
    accessPoint.answers = false;
    await start();
    const device = await request();
    await stand.report((heard) => {
      const text = JSON.stringify(heard.value);
      return text.includes(device.deviceId) && text.includes('tries again');
    });
    accessPoint.answers = true;
    await opened();
    accessPoint.answers = false;
    await stand.claim(device.deviceId);
    await stand.bringToNameFromClaim(device.deviceId);
    accessPoint.answers = true;
    await closed();
    await cancel(device);
  });

  it('is none without a way into one', async () => {
    await start();
    await stop();
    await stand.start();
    const device = await request();
    expect(accessPoint.opening).toBeUndefined();
    const [row] = await stand.query<{ network: string | null }>(
      'SELECT network FROM provisioning.onboarding WHERE device_id = $1',
      [device.deviceId],
    );
    expect(row).toEqual({ network: null });
    await cancel(device);
  });
});
