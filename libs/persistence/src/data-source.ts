import { setTimeout as sleep } from 'node:timers/promises';
import { Mqtt2goError } from '@mqtt2go/protocol';
import pg from 'pg';
import { type Logger, pino } from 'pino';
import { DataSource, type MigrationInterface } from 'typeorm';
import { errorCode } from './error-code.js';
import { PreparingClient } from './preparing-client.js';
import { TypeormLog } from './typeorm-log.js';
import { tellUnavailable } from './unavailable-database.js';

export interface PersistenceOptions {
  /** `postgres://user:password@host:port/database`; `?host=/folder` for a socket. */
  readonly url: string;
  /** The service's own schema: lower-case letters and `_`. Made when missing; the search path of every connection. */
  readonly schema: string;
  // biome-ignore lint/complexity/noBannedTypes: the type that TypeORM gives to entity classes
  readonly entities: readonly Function[];
  readonly migrations: readonly (new () => MigrationInterface)[];
  /** Connections at most; 10 by default. */
  readonly poolSize?: number;
  /** A statement that takes longer is ended; 10,000 by default. */
  readonly statementTimeoutMs?: number;
  /** How long to wait at the start for a database that does not answer yet; 30,000 by default. */
  readonly connectTimeoutMs?: number;
  readonly log?: Logger;
}

/** SQLSTATEs and system errors of a database that will be there in a moment. */
const notYetThere = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', '57P03', '53300']);
const connectRetryMs = 250;
/** How much longer than PostgreSQL itself takes to end a statement we wait for its word. */
const answerGraceMs = 5_000;
/** The first half of the advisory lock's two keys, so that it meets no other program's. */
const migrationLockClass = 0x6d32676f;

/**
 * A connected data source whose schema is at its newest migration. Replicas that start together wait for each
 * other. Migrations' SQL needs no schema names: the search path is the service's schema.
 * @throws Mqtt2goError `unavailable` when the database cannot be reached; `configuration_invalid` when its schema is that
 * of a later release, whose rows this one could misread
 */
export async function openDataSource(options: PersistenceOptions): Promise<DataSource> {
  const { schema, url, poolSize = 10, statementTimeoutMs = 10_000 } = options;
  if (!/^[a-z_]+$/.test(schema)) {
    throw new Error(`'${schema}' is no schema name`);
  }
  const log = options.log ?? pino({ name: 'persistence' });
  const dataSource = new DataSource({
    type: 'postgres',
    driver: pg,
    url,
    schema,
    entities: [...options.entities],
    migrations: [...options.migrations],
    migrationsTableName: migrationsTable,
    synchronize: false,
    logger: new TypeormLog(log),
    poolSize,
    applicationName: `mqtt2go-${schema}`,
    // A connection of the pool that breaks while idle is replaced by the next query.
    poolErrorHandler: (error: unknown) => log.warn({ err: error }, 'a database connection was lost'),
    extra: {
      ...socketOf(url),
      Client: PreparingClient,
      // A service's statements find their rows by key whatever is asked for: one plan for each is as good as one for each
      // value, and PostgreSQL must not think it over with every connection's first ones, or for good with arrays.
      options: `-c search_path=${schema} -c statement_timeout=${statementTimeoutMs} -c plan_cache_mode=force_generic_plan`,
      connectionTimeoutMillis: 10_000,
      query_timeout: statementTimeoutMs + answerGraceMs,
    },
  });
  const guard = await connectGuard(options, log);
  try {
    await guard.query('SELECT pg_advisory_lock($1, hashtext($2))', [migrationLockClass, schema]);
    await guard.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
    await dataSource.initialize();
    await refuseNewer(dataSource, schema);
    await dataSource.runMigrations({ transaction: 'each' });
    tellUnavailable(dataSource);
  } catch (error) {
    if (dataSource.isInitialized) {
      await dataSource.destroy();
    }
    throw error;
  } finally {
    await guard.end();
  }
  return dataSource;
}

const migrationsTable = 'migration';

/** Whoever brings no migrations takes any schema as it is. */
async function refuseNewer(dataSource: DataSource, schema: string): Promise<void> {
  if (dataSource.migrations.length === 0) return;
  const known = new Set(dataSource.migrations.map(({ name, constructor }) => name ?? constructor.name));
  const [table]: { there: boolean }[] = await dataSource.query('SELECT to_regclass($1) IS NOT NULL AS there', [
    `${schema}.${migrationsTable}`,
  ]);
  if (table?.there !== true) return;
  const run: { name: string }[] = await dataSource.query(`SELECT name FROM "${schema}"."${migrationsTable}"`);
  const unknown = run.find(({ name }) => !known.has(name));
  if (unknown === undefined) return;
  throw new Mqtt2goError(
    'configuration_invalid',
    `the schema ${schema} of the database is newer than this program, which does not know its migration ${unknown.name}; ` +
      'start the release that made it or a later one, or restore a backup from before',
  );
}

/** TypeORM takes a URL apart by itself and knows nothing of `?host=`, the folder of a socket. */
function socketOf(url: string): { host?: string } {
  const host = new URL(url).searchParams.get('host');
  return host === null ? {} : { host };
}

/** The connection that holds the lock: a session's own, so that a killed process leaves none behind. */
async function connectGuard({ url, connectTimeoutMs = 30_000 }: PersistenceOptions, log: Logger): Promise<pg.Client> {
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

/** The statements that would make the schema what the entities say: empty when migrations and entities agree. */
export async function schemaDifferences(dataSource: DataSource): Promise<string[]> {
  const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
  return upQueries.map(({ query }) => query);
}
