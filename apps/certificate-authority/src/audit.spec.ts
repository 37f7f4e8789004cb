import { randomUUID } from 'node:crypto';
import { type ListedEntry, listAudit, sealKeyOf, verifyAudit } from '@mqtt2go/audit';
import { certificateAuthority } from '@mqtt2go/messaging';
import { statementsDuring, waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuthorityStand, newDeviceId } from '../test/authority-stand.js';
import { schema } from './schema.js';

describe('the audit log of certificates', () => {
  let stand: AuthorityStand;
  let client: pg.Client;

  beforeAll(async () => {
    stand = await AuthorityStand.start();
    client = new pg.Client({ connectionString: stand.databaseUrl });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await stand.stop();
  });

  const of = (deviceId?: string): Promise<ListedEntry[]> => listAudit(client, [schema], { deviceId, limit: 100 });
  const story = (entries: readonly ListedEntry[]): unknown[] =>
    entries.map(({ actor_kind: kind, actor_id: id, action, details }) => [kind, id, action, JSON.parse(details)]);

  it('begins with the CAs', async () => {
    const made = (await of()).filter(({ action }) => action === 'authority.created');
    expect(made.map(({ actor_kind: kind, details }) => [kind, JSON.parse(details)['role']])).toEqual([
      ['system', 'root'],
      ['system', 'issuing'],
      ['system', 'server'],
      ['system', 'services'],
    ]);
  });

  it('tells of each certificate by its serial number: issued, renewed, revoked', async () => {
    const deviceId = newDeviceId();
    const onboardingId = randomUUID();
    const { serialNumber } = await stand.issue({ deviceId, onboardingId });
    await stand.issue({ deviceId, onboardingId });
    const renewed = await stand.call(certificateAuthority.renewCertificate, { serialNumber });
    await stand.call(certificateAuthority.revokeCertificates, { deviceId, reason: 'keyCompromise' });
    await stand.call(certificateAuthority.revokeCertificates, { deviceId, reason: 'keyCompromise' });
    const entries = await of(deviceId);
    expect(story(entries)).toMatchObject([
      ['service', 'provisioning', 'certificate.issued', { serialNumber, keyMode: 'server-key' }],
      [
        'operator',
        'operator',
        'certificate.renewed',
        { serialNumber: renewed.serialNumber, renewedFrom: serialNumber },
      ],
      ['service', 'provisioning', 'certificate.revoked', { reason: 'keyCompromise' }],
      ['service', 'provisioning', 'certificate.revoked', { reason: 'keyCompromise' }],
    ]);
    expect(entries[0]).toMatchObject({ onboarding_id: onboardingId, outcome: 'ok' });
    expect(JSON.stringify(entries)).not.toContain('PRIVATE KEY');
  });

  it('takes no further statement', async () => {
    const statements = await statementsDuring(() => stand.issue());
    expect(statements.filter((sql) => /onboarding_certificate|audit/.test(sql))).toHaveLength(1);
  });

  it('counts certificates by state', async () => {
    const metrics = await stand.metrics();
    expect(metrics).toMatch(/mqtt2go_certificates\{state="active",service="certificate-authority"\} 1/);
    expect(metrics).toMatch(/mqtt2go_certificates\{state="revoked",service="certificate-authority"\} 2/);
    expect(metrics).toMatch(/mqtt2go_outbox_messages\{.*\} \d/);
    expect(metrics).toMatch(/mqtt2go_dependency_up\{dependency="database",.*\} 1/);
  });

  it('is chained and sealed by the service itself', async () => {
    const sealKey = sealKeyOf(stand.encryptionKey);
    const verdict = await waitFor(async () => {
      const current = await verifyAudit(client, schema, { sealKey });
      return current.notChained === 0 && current;
    });
    expect(verdict).toMatchObject({ problemCount: 0, entries: 9 });
  });
});
