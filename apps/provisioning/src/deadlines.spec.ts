import { provisioning } from '@mqtt2go/messaging';
import { activationWindowMs, namingWindowMs } from '@mqtt2go/onboarding';
import { waitFor } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProvisioningStand } from './testing/provisioning-stand.js';

const addDevice = 'home-1/gw-1/add_device';

describe('the time that an onboarding has', () => {
  let stand: ProvisioningStand;

  beforeEach(async () => {
    stand = await ProvisioningStand.create();
    await stand.start();
  });
  afterEach(() => stand.close());

  const undone = async (deviceId: string): Promise<void> => {
    const { onboardingId } = await stand.onboarding(deviceId);
    await waitFor(() => {
      const { settlements, withdrawals } = stand.neighbours;
      return (
        settlements.some((each) => each.onboardingId === onboardingId) &&
        withdrawals.some((each) => each.onboardingId === onboardingId) &&
        !stand.discovery.waiting.has(deviceId)
      );
    }, 'the undo');
    expect(stand.neighbours.settlements).toEqual([{ onboardingId, outcome: 'abandoned' }]);
  };

  it('ends after 15 minutes, with everything taken back and the controller told', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    stand.clock.advance(activationWindowMs - 1);
    await stand.claim(device.deviceId);
    stand.clock.advance(1);
    await stand.reach(device.deviceId, 'expired');
    expect(await stand.refusal('activate_device')).toBe('activation_expired');
    expect(stand.told(device.deviceId).at(-1)).toBe('expired');
    await undone(device.deviceId);
    await expect(stand.claim(device.deviceId)).rejects.toMatchObject({ code: 'activation_expired' });
    const from = stand.heard.length;
    await stand.rename(device.deviceId);
    expect(await stand.refusal('rename_device', addDevice, from)).toBe('activation_expired');
    await stand.askForTopics(device.deviceId);
    expect(await stand.refusal('topics', `${device.deviceId}/topics`, from)).toBe('activation_expired');
  });

  it('goes on while the service is down', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    await stand.services.pop()?.stop();
    stand.clock.advance(activationWindowMs);
    await stand.start();
    await stand.reach(device.deviceId, 'expired');
    expect(await stand.refusal('activate_device')).toBe('activation_expired');
    await undone(device.deviceId);
  });

  it('ends before a request that comes too late, swept or not', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    stand.clock.advance(activationWindowMs);
    await expect(stand.claim(device.deviceId)).rejects.toMatchObject({ code: 'activation_expired' });
    expect(await stand.onboarding(device.deviceId)).toMatchObject({ state: 'expired' });
  });

  it('gives the gateway and the code free for the next request at once', async () => {
    const [late, next] = [await stand.mint(), await stand.mint()];
    await stand.activate(late);
    await stand.reach(late.deviceId, 'announced');
    stand.clock.advance(activationWindowMs);
    await stand.activate(next);
    await stand.reach(next.deviceId, 'announced');
    expect(await stand.onboarding(late.deviceId)).toMatchObject({ state: 'expired' });
  });

  it('lets another home have a device whose first home has let its time pass', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    const first = await stand.reach(device.deviceId, 'announced');
    stand.clock.advance(activationWindowMs);
    await stand.activate(device, { topic: 'home-2/gw-1/add_device' });
    await waitFor(
      () => stand.discovery.waiting.get(device.deviceId)?.onboarding_id !== first.onboardingId,
      'the second',
    );
    expect(await stand.reach(device.deviceId, 'announced')).toMatchObject({ homeId: 'home-2' });
    await waitFor(() => stand.neighbours.withdrawals.length > 0, 'the undo of the first');
    expect(stand.neighbours.withdrawals).toMatchObject([{ onboardingId: first.onboardingId }]);
  });

  it('starts anew with the same request, the same certificate and a later end', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    await stand.activate(device);
    const { onboardingId } = await stand.reach(deviceId, 'announced');
    stand.clock.advance(10 * 60_000);
    await stand.activate(device);
    await waitFor(() => stand.discovery.announcements.length === 2, 'the second announcement');
    const again = await stand.reach(deviceId, 'announced');
    expect(again.onboardingId).toBe(onboardingId);
    expect(Date.parse(again.deadline)).toBe(stand.clock.now() + activationWindowMs);
    expect(stand.discovery.waiting.get(deviceId)?.expires_at).toBe(again.deadline);
    expect(stand.neighbours.certificates.size).toBe(1);
    stand.clock.advance(10 * 60_000);
    await stand.bringToName(deviceId);
    await stand.rename(deviceId);
    await stand.reach(deviceId, 'active');
  });

  it('is a day for the person, then the device is thrown out', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    await stand.bringToName(device.deviceId);
    stand.clock.advance(namingWindowMs - 1);
    await stand.askForTopics(device.deviceId);
    expect(await stand.onboarding(device.deviceId)).toMatchObject({ state: 'awaiting-name' });
    stand.clock.advance(1);
    await stand.reach(device.deviceId, 'expired');
    await undone(device.deviceId);
  });

  it('lets a device that waits for its name fetch its credentials once more', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    await stand.activate(device);
    await stand.bringToName(deviceId);
    await waitFor(() => !stand.discovery.waiting.has(deviceId), 'the withdrawal');
    stand.clock.advance(60_000);
    const from = stand.heard.length;
    await stand.activate(device);
    await stand.report(({ report_name: name, type }) => type === 'report' && name === 'rename_device', from);
    await waitFor(() => stand.discovery.waiting.has(deviceId), 'the second announcement');
    const [first, second] = stand.discovery.announcements;
    expect(second?.device_certificate).toBe(first?.device_certificate);
    expect(Date.parse(second?.expires_at ?? '')).toBe(stand.clock.now() + activationWindowMs);
    await stand.claim(deviceId);
    await stand.askForTopics(deviceId);
    await waitFor(() => !stand.discovery.waiting.has(deviceId), 'the second withdrawal');
    await stand.rename(deviceId);
    await stand.reach(deviceId, 'active');
  });

  it('goes on while a neighbour does not answer, and is the last word', async () => {
    const device = await stand.mint();
    stand.discovery.instead = (method) => (method === 'POST' ? { status: 503 } : undefined);
    await stand.activate(device);
    await stand.reach(device.deviceId, 'certified');
    await waitFor(() => stand.discovery.requests.length > 3, 'further attempts');
    stand.discovery.instead = () => undefined;
    await stand.reach(device.deviceId, 'announced');

    const other = await stand.mint();
    stand.neighbours.gateways.add('home-1/gw-3');
    stand.discovery.instead = (method) => (method === 'POST' ? { status: 503 } : undefined);
    await stand.activate(other, { topic: 'home-1/gw-3/add_device' });
    await stand.reach(other.deviceId, 'certified');
    stand.clock.advance(activationWindowMs);
    await stand.reach(other.deviceId, 'expired');
  });

  it('ends when the operator says so, once', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    const ended = await stand.bus.call(provisioning.cancelOnboarding, { deviceId: device.deviceId });
    expect(ended.state).toBe('cancelled');
    await undone(device.deviceId);
    expect(await stand.bus.call(provisioning.cancelOnboarding, { deviceId: device.deviceId })).toEqual(ended);
    expect(stand.told(device.deviceId).filter((state) => state === 'cancelled')).toHaveLength(1);
  });
});
