import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { provisioning } from '@mqtt2go/messaging';
import { ProvisioningStand } from './testing/provisioning-stand.js';

describe('what comes twice', () => {
  let stand: ProvisioningStand;

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
    await stand.start();
  });
  afterAll(() => stand.close());

  it('a request is one request, and answered twice', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    await Promise.all([stand.activate(device), stand.activate(device), stand.activate(device)]);
    const { onboardingId, deadline } = await stand.reach(deviceId, 'announced');
    const from = stand.heard.length;
    await stand.activate(device);
    await stand.report(
      ({ value }) => JSON.stringify(value) === JSON.stringify({ device_id: deviceId, state: 'announced' }),
      from,
    );
    expect(await stand.onboarding(deviceId)).toMatchObject({ onboardingId, deadline, state: 'announced' });
    expect(stand.neighbours.issues.filter((issue) => issue.deviceId === deviceId)).toHaveLength(1);
    expect(stand.discovery.announcements.filter((each) => each.device_id === deviceId)).toHaveLength(1);
    await stand.bus.call(provisioning.cancelOnboarding, { deviceId });
  });

  it('a claim is one claim, also at the same time', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    await stand.activate(device);
    await stand.reach(deviceId, 'announced');
    await Promise.all([stand.claim(deviceId), stand.claim(deviceId), stand.claim(deviceId)]);
    await stand.bringToNameFromClaim(deviceId);
    expect(stand.told(deviceId).filter((state) => state === 'claimed')).toHaveLength(1);
    await stand.rename(deviceId);
    await stand.reach(deviceId, 'active');
  });

  it('a whole onboarding that is replayed changes nothing for an active device', async () => {
    const device = await stand.mint();
    const { deviceId } = device;
    const timestamp = 1_700_000_000;
    await stand.activate(device, { timestamp });
    await stand.bringToName(deviceId);
    await stand.rename(deviceId);
    const { onboardingId } = await stand.reach(deviceId, 'active');
    const certificates = stand.neighbours.certificates.size;
    const from = stand.heard.length;

    stand.clock.advance(30_000);
    await stand.activate(device, { timestamp });
    await stand.report(
      ({ value }) => JSON.stringify(value) === JSON.stringify({ device_id: deviceId, state: 'active' }),
      from,
    );
    await stand.askForTopics(deviceId);
    await stand.report(({ topic }) => topic === `${deviceId}/topics`, from);
    const assignments = stand.neighbours.assignments.length;
    await stand.rename(deviceId);
    await stand.report(({ value }) => value === 'ok', from);
    expect(stand.neighbours.assignments).toHaveLength(assignments);
    expect(await stand.onboarding(deviceId)).toMatchObject({ onboardingId, state: 'active' });
    expect(stand.neighbours.certificates.size).toBe(certificates);
  });

  it('a corrected code takes the place of the wrong one, of a device that nobody has told of', async () => {
    const device = stand.someDevice();
    const { deviceId } = device;
    await stand.activate({ deviceId, activationCode: 'MISREAD' }, { device_type: 'light' });
    const wrong = await stand.reach(deviceId, 'announced');
    await stand.activate(device, { device_type: 'light' });
    await waitFor(
      () => stand.discovery.waiting.get(deviceId)?.activation_code === device.activationCode,
      'the new code',
    );
    const right = await stand.reach(deviceId, 'announced');
    expect(right.onboardingId).not.toBe(wrong.onboardingId);
    expect(stand.told(deviceId)).not.toContain('cancelled');
    await waitFor(() => {
      return stand.neighbours.settlements.some((each) => each.onboardingId === wrong.onboardingId);
    }, 'the undo of the first');
    expect(stand.discovery.waiting.get(deviceId)?.onboarding_id).toBe(right.onboardingId);
    await stand.bus.call(provisioning.cancelOnboarding, { deviceId });
  });

  it('requests of two homes for one gateway-wide device: one wins, the other is told', async () => {
    const device = await stand.mint();
    const from = stand.heard.length;
    await Promise.all([
      stand.activate(device),
      stand.activate(device, { topic: 'home-2/gw-1/add_device' }),
      stand.activate(device, { topic: 'home-1/gw-2/add_device' }),
    ]);
    await stand.reach(device.deviceId, 'announced');
    await waitFor(() => {
      const refused = stand.heard.slice(from).filter(({ value }) => JSON.stringify(value).includes('"error"'));
      return refused.length === 2;
    }, 'two refusals');
    expect(stand.neighbours.issues.filter((issue) => issue.deviceId === device.deviceId)).toHaveLength(1);
    await stand.bus.call(provisioning.cancelOnboarding, { deviceId: device.deviceId });
  });
});
