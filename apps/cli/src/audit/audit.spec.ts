import 'reflect-metadata';
import { AuditChain, type AuditEntry, auditMigration, sealKeyOf, writeAudit } from '@mqtt2go/audit';
import { openDataSource } from '@mqtt2go/persistence';
import { createEncryptionKey } from '@mqtt2go/pki';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { running } from '../stand-in/running.js';

const schemas = ['discovery', 'provisioning'] as const;
const key = createEncryptionKey();
const entry: AuditEntry = {
  actor: { kind: 'controller', id: 'home-1/gw-1' },
  action: 'onboarding.requested',
  deviceId: 'kettle-1',
  homeId: 'home-1',
  details: { gatewayId: 'gw-1' },
};

describe('mqtt2go audit', () => {
  let folder: string;
  let database: TestDatabase;
  const sources: DataSource[] = [];

  const link = async (): Promise<void> => {
    for (const [index, schema] of schemas.entries()) {
      const source = sources[index];
      if (source) await new AuditChain(source, { schema, log: silentLogger, sealKey: sealKeyOf(key) }).link();
    }
  };
  const write = async (schema: (typeof schemas)[number], ...entries: AuditEntry[]): Promise<void> => {
    const source = sources[schemas.indexOf(schema)];
    if (source) await writeAudit(source, schema, entries);
  };
  const audit = (...args: string[]) => running(['audit', ...args, '--database-url', database.url, '--data', folder]);
  const tamper = async (sql: string): Promise<void> => {
    for (const table of ['audit_entry', 'audit_link']) {
      await sources[0]?.query(`ALTER TABLE provisioning.${table} DISABLE TRIGGER ALL`);
    }
    await sources[0]?.query(sql);
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-audit-'));
    database = await createTestDatabase();
    for (const schema of schemas) {
      sources.push(
        await openDataSource({
          url: database.url,
          schema,
          entities: [],
          migrations: [auditMigration(schema)],
          log: silentLogger,
        }),
      );
    }
    await write('provisioning', entry, { ...entry, deviceId: 'lamp-1' });
    await write('discovery', { ...entry, action: 'activation.announced' });
    await link();
  });
  afterEach(async () => {
    for (const source of sources.splice(0)) await source.destroy();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  it('lists who did what, of all services in the order of time, for people and as JSON', async () => {
    const words = await audit('list', '--device', 'kettle-1', '--since', '1h');
    expect(words.code).toBe(0);
    expect(words.out).toContain('controller home-1/gw-1');
    expect(words.out).not.toContain('lamp-1');
    const { out } = await audit('list', '--home', 'home-1', '--json');
    const listed = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    // Within a millisecond there is no order between services.
    const times = listed.map(({ at }) => Date.parse(at));
    expect(times).toEqual(times.toSorted((one, other) => one - other));
    const entries = listed.map(({ service, action, position }) => `${service} ${action} ${position}`);
    expect(entries.filter((each) => each.startsWith('provisioning'))).toEqual([
      'provisioning onboarding.requested 1',
      'provisioning onboarding.requested 2',
    ]);
    expect(entries).toContain('discovery activation.announced 1');
    expect(entries).toHaveLength(3);
    expect((await audit('list', '--device', 'none')).out).toContain('Nothing is written down');
    expect((await audit('list', '--since', 'yesterday')).code).toBe(2);
  });

  it('says that the log is intact', async () => {
    await writeFile(join(folder, 'key'), key);
    const { code, out } = await audit('verify', '--key-file', join(folder, 'key'));
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('The audit log is intact.') });
    expect(out).toContain('Seals were checked');
    expect((await audit('verify')).out).toContain('Seals were not checked');
  });

  it('ends with 1 and names the place where it was changed', async () => {
    await tamper(`UPDATE provisioning.audit_entry SET device_id = 'other' WHERE seq = 2`);
    const { code, out, err } = await audit('verify');
    expect(code).toBe(1);
    expect(out).toContain('altered position 2');
    expect(err).toContain('1 problem');
    expect(JSON.parse((await audit('verify', '--json')).out.split('\n')[0] ?? '')).toMatchObject({ intact: false });
  });

  it('finds newest entries that were cut off, by a checkpoint or a head from the log', async () => {
    const { out } = await audit('checkpoint');
    const file = join(folder, 'checkpoint.json');
    await writeFile(file, out);
    expect((await audit('verify', '--checkpoint', file)).code).toBe(0);
    await tamper(`DELETE FROM provisioning.audit_link WHERE position = 2`);
    await tamper(`DELETE FROM provisioning.audit_entry WHERE seq = 2`);
    expect((await audit('verify')).code).toBe(0);
    expect(await audit('verify', '--checkpoint', file)).toMatchObject({ code: 1, out: expect.stringContaining('cut') });
    const head = `provisioning:2:${'0'.repeat(64)}`;
    expect(await audit('verify', '--head', head)).toMatchObject({ code: 1, out: expect.stringContaining('cut') });
    expect((await audit('verify', '--head', 'what')).code).toBe(2);
  });

  it('says when there is no database, or none with a log', async () => {
    expect(await running(['audit', 'verify', '--data', folder])).toMatchObject({ code: 69 });
    expect(
      await running(['audit', 'verify', '--data', folder, '--database-url', 'postgres://nobody@127.0.0.1:1/x']),
    ).toMatchObject({ code: 69 });
    await sources[0]?.query('DROP SCHEMA provisioning CASCADE');
    await sources[0]?.query('DROP SCHEMA discovery CASCADE');
    expect(await audit('verify')).toMatchObject({ code: 1 });
  });
});
