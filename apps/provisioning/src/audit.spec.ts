import { type ListedEntry, listAudit, sealKeyOf, verifyAudit } from '@mqtt2go/audit';
import { provisioning } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schema } from './schema.js';
import { ProvisioningStand } from './testing/provisioning-stand.js';

describe('the audit log of onboardings', () => {
  let stand: ProvisioningStand;
  let client: pg.Client;

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
    await stand.start();
    client = new pg.Client({ connectionString: stand.database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await stand.close();
  });

  const of = (deviceId: string): Promise<ListedEntry[]> => listAudit(client, [schema], { deviceId, limit: 100 });
  const story = (entries: readonly ListedEntry[]): string[] =>
    entries.map(({ actor_kind: kind, actor_id: id, action, outcome }) => `${kind} ${id}: ${action} ${outcome}`);

  it('tells who did each step, under the onboarding’s id, and nothing secret', async () => {
    const device = await stand.mint();
    const { deviceId, activationCode } = device;
    await stand.add(device);
    const { onboardingId } = await stand.onboarding(deviceId);
    const entries = (await of(deviceId)).filter(({ action }) => action !== 'factory.imported');
    expect(story(entries)).toEqual([
      'controller home-1/gw-1: onboarding.requested ok',
      'service provisioning: onboarding.certified ok',
      'service provisioning: onboarding.announced ok',
      `device ${deviceId}: onboarding.claimed ok`,
      `device ${deviceId}: onboarding.awaiting-name ok`,
      'controller home-1/gw-1: onboarding.active ok',
    ]);
    expect(new Set(entries.map((entry) => entry.onboarding_id))).toEqual(new Set([onboardingId]));
    expect(new Set(entries.map((entry) => entry.home_id))).toEqual(new Set(['home-1']));
    expect(JSON.stringify(entries)).not.toContain(activationCode);
  });

  it('tells of wrong codes, without the code', async () => {
    const device = await stand.mint();
    await stand.activate({ ...device, activationCode: 'WRONG-CODE-1' });
    const entries = await waitFor(async () => {
      const refused = (await of(device.deviceId)).filter(({ action }) => action === 'request.refused');
      return refused.length > 0 && refused;
    });
    expect(story(entries)).toEqual(['controller home-1/gw-1: request.refused activation_code_wrong']);
    expect(JSON.stringify(entries)).not.toContain('WRONG-CODE-1');
  });

  it('tells of the end of what came to nothing, and by whom', async () => {
    const device = await stand.mint();
    await stand.activate(device);
    await stand.reach(device.deviceId, 'announced');
    await stand.bus.call(provisioning.cancelOnboarding, { deviceId: device.deviceId });
    expect(story(await of(device.deviceId)).at(-1)).toBe('operator operator: onboarding.cancelled ok');
  });

  it('is chained and sealed by the service itself', async () => {
    const sealKey = sealKeyOf(stand.encryptionKey);
    const verdict = await waitFor(async () => {
      const current = await verifyAudit(client, schema, { sealKey });
      return current.notChained === 0 && current;
    });
    expect(verdict).toMatchObject({ problemCount: 0 });
    expect(verdict.entries).toBeGreaterThan(6);
    expect(verdict.seals).toBeGreaterThan(0);
  });
});
