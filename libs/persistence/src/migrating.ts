import { setTimeout as sleep } from 'node:timers/promises';
import { Mqtt2goError } from '@mqtt2go/protocol';
import pg from 'pg';
import type { Logger } from 'pino';
import { DataSource, type DataSourceOptions, type MigrationInterface } from 'typeorm';
import { errorCode } from './error-code.js';

export const migrationsTable = 'migration';

/** SQLSTATEs and system errors of a database that will be there in a moment. */
const notYetThere = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', '57P03', '53300']);
const connectRetryMs = 250;
/** The first half of the advisory lock's two keys, so that it meets no other program's. */
const migrationLockClass = 0x6d32676f;

export type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

export interface Migrating {
  readonly url: string;
  readonly schema: string;
  readonly migrations: readonly (new () => MigrationInterface)[];
  /** Of the data source whose schema it is. */
  readonly settings: PostgresOptions;
  /** How long to wait for a database that does not answer yet. */
  readonly connectTimeoutMs: number;
  readonly log: Logger;
}

/**
 * Brings a schema to its newest migration; replicas that start together wait for each other. All of it is done on
 * connections of its own, which end with it: what PostgreSQL reads of its catalogs for it stays in a connection for good.
 * Same errors as `openDataSource`.
 */
export async function migrate(migrating: Migrating): Promise<void> {
  const { schema, migrations, settings } = migrating;
  const guard = await connectGuard(migrating);
  try {
    await guard.query('SELECT pg_advisory_lock($1, hashtext($2))', [migrationLockClass, schema]);
    await guard.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
    if (!(await isBehind(guard, schema, migrations))) return;
    const migrator = new DataSource({ ...settings, entities: [], poolSize: 1 });
    await migrator.initialize();
    try {
      await migrator.runMigrations({ transaction: 'each' });
    } finally {
      await migrator.destroy();
    }
  } finally {
    await guard.end();
  }
}

/** Whether migrations are to be run. Whoever brings none takes any schema as it is. */
async function isBehind(guard: pg.Client, schema: string, migrations: Migrating['migrations']): Promise<boolean> {
  if (migrations.length === 0) return false;
  const { rows: tables } = await guard.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    `${schema}.${migrationsTable}`,
  ]);
  if (tables[0]?.there !== true) return true;
  const { rows: run } = await guard.query<{ name: string }>(`SELECT name FROM "${schema}"."${migrationsTable}"`);
  // By what TypeORM stores them.
  const known = migrations.map((Migration) => new Migration().name ?? Migration.name);
  const unknown = run.find(({ name }) => !known.includes(name));
  if (unknown !== undefined) {
    throw new Mqtt2goError(
      'configuration_invalid',
      `the schema ${schema} of the database is newer than this program, which does not know its migration ${unknown.name}; ` +
        'start the release that made it or a later one, or restore a backup from before',
    );
  }
  return run.length < known.length;
}

/** The connection that holds the lock: a session's own, so that a killed process leaves none behind. */
async function connectGuard({ url, connectTimeoutMs, log }: Migrating): Promise<pg.Client> {
  const giveUpAt = Date.now() + connectTimeoutMs;
  for (let attempt = 0; ; attempt += 1) {
    const client = new pg.Client({ connectionString: url, application_name: 'mqtt2go-migrations' });
    client.on('error', (error) => log.warn({ err: error }, 'a database connection was lost'));
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      const { host, pathname } = new URL(url);
      const reason = error instanceof Error ? error.message || errorCode(error) : String(error);
      if (!notYetThere.has(errorCode(error) ?? '') || Date.now() >= giveUpAt) {
        throw new Mqtt2goError('unavailable', `the database ${host}${pathname} cannot be used: ${reason}`, {
          cause: error,
        });
      }
      if (attempt === 0) {
        log.warn({ database: `${host}${pathname}`, reason }, 'waiting for the database');
      }
      await sleep(connectRetryMs);
    }
  }
}
