import pg from 'pg';
import { type Logger, pino } from 'pino';
import { DataSource, type MigrationInterface } from 'typeorm';
import { migrate, migrationsTable, type PostgresOptions } from './migrating.js';
import { PreparingClient } from './preparing-client.js';
import { PatientPool } from './patient-pool.js';
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
  /** Connections at most; 10 by default. Of two the second is opened only when the first has been taken for a while. */
  readonly poolSize?: number;
  /** A statement that takes longer is ended; 10,000 by default. */
  readonly statementTimeoutMs?: number;
  /** How long to wait at the start for a database that does not answer yet; 30,000 by default. */
  readonly connectTimeoutMs?: number;
  readonly log?: Logger;
}

/** Pools up to this size are there to save memory. */
const patientUpTo = 2;
/** How much longer than PostgreSQL itself takes to end a statement we wait for its word. */
const answerGraceMs = 5_000;

/**
 * A connected data source whose schema is at its newest migration. Replicas that start together wait for each
 * other. Migrations' SQL needs no schema names: the search path is the service's schema.
 * @throws Mqtt2goError `unavailable` when the database cannot be reached; `configuration_invalid` when its schema is that
 * of a later release, whose rows this one could misread
 */
export async function openDataSource(options: PersistenceOptions): Promise<DataSource> {
  const { schema, url, poolSize = 10, statementTimeoutMs = 10_000, connectTimeoutMs = 30_000 } = options;
  if (!/^[a-z_]+$/.test(schema)) {
    throw new Error(`'${schema}' is no schema name`);
  }
  const log = options.log ?? pino({ name: 'persistence' });
  const settings: PostgresOptions = {
    type: 'postgres',
    driver: poolSize <= patientUpTo ? { ...pg, Pool: PatientPool } : pg,
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
  };
  await migrate({ url, schema, migrations: options.migrations, settings, connectTimeoutMs, log });
  const dataSource = await new DataSource(settings).initialize();
  tellUnavailable(dataSource);
  return dataSource;
}

/** TypeORM takes a URL apart by itself and knows nothing of `?host=`, the folder of a socket. */
function socketOf(url: string): { host?: string } {
  const host = new URL(url).searchParams.get('host');
  return host === null ? {} : { host };
}

/** The statements that would make the schema what the entities say: empty when migrations and entities agree. */
export async function schemaDifferences(dataSource: DataSource): Promise<string[]> {
  const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
  return upQueries.map(({ query }) => query);
}
