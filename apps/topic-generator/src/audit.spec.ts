import { type ListedEntry, listAudit, verifyAudit } from '@mqtt2go/audit';
import { topicGenerator } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schema } from './schema.js';
import { homeId, onboardingIds, TopicGeneratorStand } from './testing/topic-generator-stand.js';

describe('the audit log of access', () => {
  let stand: TopicGeneratorStand;
  let client: pg.Client;

  beforeAll(async () => {
    stand = await TopicGeneratorStand.create();
    client = new pg.Client({ connectionString: stand.database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await stand.close();
  });

  const story = (entries: readonly ListedEntry[]): unknown[] =>
    entries.map(({ actor_kind: kind, action, details }) => [kind, action, JSON.parse(details)]);
  const of = async (deviceId: string): Promise<unknown[]> =>
    story(await listAudit(client, [schema], { deviceId, limit: 100 }));

  it('tells of homes, gateways and controllers, without passwords', async () => {
    const create = () =>
      stand.bus.call(topicGenerator.createController, { homeId: 'home-9', gatewayId: 'gw', username: 'ann' });
    const { username, password } = await create();
    await create();
    const entries = await listAudit(client, [schema], { homeId: 'home-9', limit: 100 });
    const details = { username, gatewayId: 'gw', role: 'administrator' };
    expect(story(entries)).toMatchObject([
      ['operator', 'home.created', { broker: 'home-0' }],
      ['operator', 'gateway.created', { gatewayId: 'gw' }],
      ['operator', 'controller.created', details],
      ['operator', 'controller.password-replaced', details],
    ]);
    expect(JSON.stringify(entries)).not.toContain(password);
  });

  it('tells of each change of a device’s access once, whatever is repeated', async () => {
    await stand.admit('lamp-1');
    await stand.admit('lamp-1');
    await stand.assign('lamp-1', 'kitchen');
    await stand.bus.call(topicGenerator.acceptCertificate, {
      deviceId: 'lamp-1',
      renewedFrom: 'AA01',
      serialNumber: 'AA02',
    });
    await stand.revoke('lamp-1', 'AA01');
    await stand.revoke('lamp-1');
    expect(await of('lamp-1')).toEqual([
      ['service', 'device.admitted', { gatewayId: 'gw', serialNumber: 'AA01' }],
      ['service', 'device.named', { groups: ['kitchen'] }],
      ['service', 'device.certificate-accepted', { renewedFrom: 'AA01', serialNumber: 'AA02' }],
      ['service', 'device.access-revoked', { serialNumbers: ['AA01'] }],
      ['service', 'device.access-revoked', { removed: true }],
    ]);
    expect((await listAudit(client, [schema], { homeId, deviceId: 'lamp-1', limit: 9 })).map((e) => e.action)).toEqual([
      'device.admitted',
      'device.named',
      'device.access-revoked',
    ]);
  });

  it('tells of what was taken back, and of what nobody had only once', async () => {
    await stand.admit('lamp-2');
    await stand.withdraw('lamp-2', onboardingIds[0]);
    await stand.withdraw('lamp-2', onboardingIds[0]);
    expect((await of('lamp-2')).map((line) => (Array.isArray(line) ? line[1] : line))).toEqual([
      'device.admitted',
      'device.withdrawn',
    ]);
  });

  it('is chained by the service itself', async () => {
    const verdict = await waitFor(async () => {
      const current = await verifyAudit(client, schema);
      return current.notChained === 0 && current;
    });
    expect(verdict).toMatchObject({ problemCount: 0 });
  });
});
