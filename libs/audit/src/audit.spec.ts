import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { openDataSource } from '@mqtt2go/persistence';
import {
  Collector,
  collectingLogger,
  createTestDatabase,
  silentLogger,
  type TestDatabase,
  waitFor,
} from '@mqtt2go/testing';
import pg from 'pg';
import { Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AuditChain,
  type AuditChainOptions,
  type AuditEntry,
  type AuditHead,
  AuditRefusals,
  auditMigration,
  auditRows,
  insertAudit,
  listAudit,
  sealKeyOf,
  verifyAudit,
  dateAuditBy,
  insertAuditEach,
  auditRow,
  writeAudit,
} from './index.js';

const schema = 'service';
const onboardingId = '0b0e2a9e-58ea-4a54-9f1a-3c1c8a0f7c11';
const entryOf = (deviceId: string, more: Partial<AuditEntry> = {}): AuditEntry => ({
  actor: { kind: 'device', id: deviceId, certificate: 'AB01' },
  action: 'onboarding.claimed',
  deviceId,
  homeId: 'home-1',
  onboardingId,
  details: { state: 'claimed', 'a "quoted" key': 'ü \u2028' },
  ...more,
});

let database: TestDatabase;
let dataSource: DataSource;
let client: pg.Client;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  dataSource = await openDataSource({
    url: database.url,
    schema,
    entities: [],
    migrations: [auditMigration(schema)],
    log: silentLogger,
  });
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await client.end();
  await dataSource.destroy();
  await database.drop();
});

const chainOf = (options: Partial<AuditChainOptions> = {}): AuditChain =>
  new AuditChain(dataSource, { schema, log: silentLogger, ...options });
const write = (...entries: AuditEntry[]): Promise<void> => writeAudit(dataSource, schema, entries);
const verify = (options: Parameters<typeof verifyAudit>[2] = {}) => verifyAudit(client, schema, options);
const kinds = async (options: Parameters<typeof verifyAudit>[2] = {}): Promise<string[]> =>
  (await verify(options)).problems.map(({ kind }) => kind);
/** As somebody who owns the database can. */
const tamper = async (...statements: string[]): Promise<void> => {
  for (const table of ['audit_entry', 'audit_link']) {
    await client.query(`ALTER TABLE ${schema}.${table} DISABLE TRIGGER ALL`);
  }
  for (const statement of statements) await client.query(statement);
};
const devices = (count: number): AuditEntry[] => Array.from({ length: count }, (_, index) => entryOf(`lamp-${index}`));

it('has the platform’s time where the system’s is wrong, and the system’s from then on where it is right', async () => {
  const nowMs = Date.UTC(2031, 4, 1, 12);
  const right = dateAuditBy(() => nowMs);
  await writeAudit(dataSource, schema, [entryOf('lamp-1')]);
  await dataSource.query(
    `WITH made AS (SELECT 'lamp-2' AS id) ${insertAuditEach(schema, '$1', 'made', `jsonb_build_object('device_id', id)`)}`,
    [auditRow(entryOf('lamp-0'))],
  );
  right();
  await writeAudit(dataSource, schema, [entryOf('lamp-3')]);
  const rows = await dataSource.query<{ device_id: string; at: Date }[]>(
    `SELECT device_id, at FROM ${schema}.audit_entry ORDER BY seq`,
  );
  expect(rows.slice(0, 2)).toEqual(['lamp-1', 'lamp-2'].map((device_id) => ({ device_id, at: new Date(nowMs) })));
  expect(Math.abs((rows[2]?.at.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
});

describe('the audit log', () => {
  it('writes an entry in the statement that makes the change, and none without it', async () => {
    await client.query(`CREATE TABLE ${schema}.thing (id text PRIMARY KEY)`);
    const change = (id: string) =>
      dataSource.query(
        `WITH made AS (INSERT INTO thing VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1),
           audited AS (${insertAudit(schema, '$2', 'made')})
         SELECT 1 FROM made`,
        [id, auditRows([entryOf(id)])],
      );
    await change('a');
    await change('a');
    await dataSource
      .transaction(async (manager) => {
        await writeAudit(manager, schema, [entryOf('b')]);
        throw new Error('no');
      })
      .catch(() => undefined);
    const listed = await listAudit(client, [schema], { limit: 10 });
    expect(listed.map(({ device_id }) => device_id)).toEqual(['a']);
    expect(JSON.parse(listed[0]?.details ?? '')).toEqual({ state: 'claimed', 'a "quoted" key': 'ü \u2028' });
  });

  it.each(['audit_entry', 'audit_link'])('has the database refuse to change %s', async (table) => {
    await write(entryOf('lamp'));
    await chainOf().link();
    for (const statement of [`DELETE FROM`, `TRUNCATE`]) {
      await expect(client.query(`${statement} ${schema}.${table}`)).rejects.toThrow('only grows');
    }
    await expect(client.query(`UPDATE ${schema}.${table} SET seq = DEFAULT`)).rejects.toThrow();
    await expect(client.query(`UPDATE ${schema}.audit_entry SET outcome = 'x'`)).rejects.toThrow('only grows');
    await client.query(`SET session_replication_role = replica`);
    await expect(client.query(`DELETE FROM ${schema}.${table}`)).rejects.toThrow('only grows');
    expect(await kinds()).toEqual([]);
  });

  it('chains what is committed, and tells what is not chained yet', async () => {
    await write(...devices(3));
    expect(await verify()).toMatchObject({ entries: 0, notChained: 3, problemCount: 0 });
    expect(await chainOf().link()).toBe(3);
    expect(await verify()).toMatchObject({ entries: 3, notChained: 0, problemCount: 0, head: { position: 3 } });
  });

  it('chains an entry that is committed after later ones, without a break', async () => {
    const chain = chainOf();
    await chain.link();
    const late = new pg.Client({ connectionString: database.url });
    await late.connect();
    closing.push(() => late.end());
    await late.query('BEGIN');
    await late.query(insertAudit(schema, '$1'), [auditRows([entryOf('late')])]);
    await write(entryOf('early'));
    expect(await chain.link()).toBe(1);
    await late.query('COMMIT');
    expect(await chain.link()).toBe(1);
    expect((await listAudit(client, [schema], { limit: 9 })).map((row) => [row.device_id, row.position])).toEqual(
      expect.arrayContaining([
        ['late', '2'],
        ['early', '1'],
      ]),
    );
    expect(await kinds()).toEqual([]);
  });

  it('chains each entry once when several processes do it, while others write', async () => {
    const chains = [chainOf(), chainOf(), chainOf()];
    const writing = Promise.all(
      Array.from({ length: 20 }, async (_, round) => {
        await write(...devices(5));
        if (round % 5 === 0) await dataSource.query('SELECT 1/0').catch(() => undefined);
      }),
    );
    const linking = Promise.all(chains.map((chain) => chain.link()));
    await Promise.all([writing, linking]);
    await Promise.all(chains.map((chain) => chain.link()));
    expect(await verify()).toMatchObject({ entries: 100, notChained: 0, problemCount: 0 });
  });

  it('goes on with the chain after a restart', async () => {
    await write(...devices(2));
    await chainOf().link();
    await write(...devices(2));
    await chainOf().link();
    expect(await verify()).toMatchObject({ entries: 4, problemCount: 0 });
  });

  it('chains by itself while it runs, counts, and tells its head to the log', async () => {
    const { log, lines } = collectingLogger();
    const registry = new Registry();
    const chain = chainOf({ log, registry, intervalMs: 5 });
    chain.start();
    await write(...devices(2));
    await waitFor(async () => (await verify()).entries === 2);
    await chain.stop();
    const { head } = await verify();
    expect(lines.at(-1)).toMatchObject({ msg: 'head of the audit log', position: 2, hash: head.hash });
    const metrics = await registry.metrics();
    expect(metrics).toContain('mqtt2go_audit_entries_total{action="onboarding.claimed"} 2');
    expect(metrics).toContain('mqtt2go_audit_chain_position 2');
  });

  it('goes on when the database comes back', async () => {
    const { log, lines } = collectingLogger();
    const chain = chainOf({ log, intervalMs: 5 });
    chain.start();
    closing.push(() => chain.stop());
    await client.query(`ALTER TABLE ${schema}.audit_link RENAME TO gone`);
    await write(...devices(2));
    await waitFor(() => lines.some(({ msg }) => String(msg).includes('could not be chained')));
    await client.query(`ALTER TABLE ${schema}.gone RENAME TO audit_link`);
    await waitFor(async () => (await verify()).entries === 2);
  });
});

describe('verification finds', () => {
  beforeEach(async () => {
    await write(...devices(10));
    await chainOf().link();
    expect(await kinds()).toEqual([]);
  });

  it.each([
    ['another device', `device_id = 'other'`],
    ['another time', `at = at - interval '1 second'`],
    ['another outcome', `outcome = 'refused'`],
    ['another actor', `actor_id = 'nobody'`],
    ['other details', `details = '{}'`],
  ])('an entry that tells of %s', async (_what, change) => {
    await tamper(`UPDATE ${schema}.audit_entry SET ${change} WHERE seq = 4`);
    expect((await verify()).problems).toEqual([{ kind: 'altered', position: 4, seq: 4 }]);
  });

  it('an entry that is gone, alone or with its link', async () => {
    await tamper(`DELETE FROM ${schema}.audit_entry WHERE seq = 4`);
    expect((await verify()).problems).toEqual([{ kind: 'entry-missing', position: 4, seq: 4 }]);
    await tamper(`DELETE FROM ${schema}.audit_link WHERE seq = 4`);
    expect(await kinds()).toEqual(['link-missing', 'altered']);
    await tamper(`UPDATE ${schema}.audit_link SET position = position - 1 WHERE position > 4`);
    expect(await kinds()).toContain('altered');
  });

  it('entries in another order', async () => {
    await tamper(
      `UPDATE ${schema}.audit_link SET position = -position WHERE position IN (4, 5)`,
      `UPDATE ${schema}.audit_link SET position = 9 + position WHERE position < 0`,
    );
    expect(await kinds()).toEqual(['altered', 'altered', 'altered']);
  });

  it('an entry that was put between others', async () => {
    await tamper(`DELETE FROM ${schema}.audit_entry WHERE seq = 4`);
    await client.query(
      `INSERT INTO ${schema}.audit_entry OVERRIDING SYSTEM VALUE
       SELECT 4, at, actor_kind, actor_id, actor_certificate, action, 'forged', home_id, onboarding_id, outcome, details
       FROM ${schema}.audit_entry WHERE seq = 5`,
    );
    expect(await kinds()).toEqual(['altered']);
  });

  it('an entry without a place among old ones', async () => {
    await tamper(
      `DELETE FROM ${schema}.audit_link WHERE seq = 4`,
      `UPDATE ${schema}.audit_entry SET at = at - interval '1 hour'`,
    );
    expect(await kinds()).toContain('inserted');
  });

  it('a beginning that is gone, unless its end was noted down before it was archived', async () => {
    const { rows } = await client.query(
      `SELECT encode(hash, 'hex') AS hash FROM ${schema}.audit_link WHERE position = 3`,
    );
    const archived: AuditHead = { schema, position: 3, hash: rows[0].hash };
    await tamper(
      `DELETE FROM ${schema}.audit_link WHERE position <= 3`,
      `DELETE FROM ${schema}.audit_entry WHERE seq <= 3`,
    );
    expect(await kinds()).toContain('beginning-missing');
    expect(await verify({ heads: [archived] })).toMatchObject({ entries: 7, problemCount: 0 });
  });

  it('nothing wrong after old entries were archived as the docs say, given the checkpoint, and goes on from there', async () => {
    const docs = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    const [archiving = ''] = /^BEGIN;$[^]*?^COMMIT;$/m.exec(docs) ?? [];
    const { rows } = await client.query(
      `SELECT encode(hash, 'hex') AS hash FROM ${schema}.audit_link WHERE position = 6`,
    );
    await client.query(archiving.replaceAll('provisioning', schema).replaceAll(/\bP\b/g, '6'));
    const heads = [{ schema, position: 6, hash: rows[0].hash }];
    expect(await verify({ heads })).toMatchObject({ entries: 4, problemCount: 0 });
    await expect(client.query(`DELETE FROM ${schema}.audit_entry`)).rejects.toThrow('only grows');
    await write(...devices(2));
    await chainOf().link();
    expect(await verify({ heads })).toMatchObject({ entries: 6, head: { position: 12 }, problemCount: 0 });
    // The end itself stays, or the chain would begin anew.
    await client.query(archiving.replaceAll('provisioning', schema).replaceAll(/\bP\b/g, '12'));
    expect(await verify({ heads })).toMatchObject({ entries: 6, problemCount: 0 });
  });

  it('an end that was cut off, by a head that was noted down', async () => {
    const { head } = await verify();
    await tamper(
      `DELETE FROM ${schema}.audit_link WHERE position > 8`,
      `DELETE FROM ${schema}.audit_entry WHERE seq > 8`,
    );
    expect(await kinds()).toEqual([]);
    expect((await verify({ heads: [head] })).problems).toEqual([{ kind: 'cut', position: 10 }]);
  });

  it('a chain that was made anew from a change on, by a head and by its seals', async () => {
    const key = sealKeyOf(randomBytes(32));
    await write(...devices(2));
    await chainOf({ sealKey: key }).link();
    const { head, seals } = await verify({ sealKey: key });
    expect(seals).toBe(1);
    await tamper(
      `UPDATE ${schema}.audit_entry SET device_id = 'other' WHERE seq = 4`,
      `DELETE FROM ${schema}.audit_link WHERE position >= 4`,
    );
    await chainOf().link();
    expect(await kinds()).toEqual([]);
    expect(await kinds({ heads: [head] })).toEqual(['rewritten']);
    await tamper(`DELETE FROM ${schema}.audit_link WHERE position >= 4`);
    await chainOf({ sealKey: sealKeyOf(randomBytes(32)) }).link();
    expect(await kinds({ sealKey: key })).toEqual(['seal-wrong']);
  });
});

describe('refusals', () => {
  it('are written soon, and repeated ones counted', async () => {
    const refusals = new AuditRefusals(dataSource, { schema, log: silentLogger, countedForMs: 3_600_000 });
    const refusal = entryOf('lamp', { action: 'request.refused', outcome: 'activation_code_wrong' });
    refusals.note(refusal);
    await refusals.flush();
    for (let time = 0; time < 5; time += 1) refusals.note(refusal);
    await refusals.flush();
    const listed = () => listAudit(client, [schema], { limit: 10 });
    expect(await listed()).toHaveLength(1);
    await refusals.stop();
    expect((await listed()).map(({ details }) => JSON.parse(details)['times'])).toEqual([1, 5]);
  });

  it('fill neither memory nor table, however different they are', async () => {
    const refusals = new AuditRefusals(dataSource, { schema, log: silentLogger });
    for (let time = 0; time < 5_000; time += 1) {
      refusals.note(entryOf(`lamp-${time}`, { action: 'request.refused', outcome: 'unknown_home' }));
    }
    await refusals.flush();
    expect((await listAudit(client, [schema], { limit: 10_000 })).length).toBeLessThanOrEqual(100);
    await refusals.stop();
    const listed = await listAudit(client, [schema], { limit: 10_000 });
    expect(listed.length).toBeLessThanOrEqual(2_001);
    expect(listed.reduce((sum, { details }) => sum + Number(JSON.parse(details)['times']), 0)).toBe(5_000);
  });

  it('wait for a database that is away', async () => {
    const seen = new Collector<unknown>();
    const refusals = new AuditRefusals(dataSource, { schema, log: silentLogger });
    await client.query(`ALTER TABLE ${schema}.audit_entry RENAME TO gone`);
    refusals.note(entryOf('lamp', { action: 'request.refused', outcome: 'unknown_home' }));
    await refusals.flush();
    await client.query(`ALTER TABLE ${schema}.gone RENAME TO audit_entry`);
    await refusals.flush();
    for (const row of await listAudit(client, [schema], { limit: 10 })) seen.add(row.device_id);
    expect(seen.items).toEqual(['lamp']);
  });
});
