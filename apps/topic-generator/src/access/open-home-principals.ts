import type { Principal } from '@mqtt2go/access';
import { openDataSource } from '@mqtt2go/persistence';
import type { Logger } from 'pino';
import { entities } from '../entities.js';
import { migrations } from '../migrations/index.js';
import { schema } from '../schema.js';
import { anchorsOf } from './gateway-trust.js';
import { HomePrincipals, type HomePrincipalsOptions } from './home-principals.js';

export interface TopicGeneratorDatabase {
  readonly databaseUrl: string;
  readonly log: Logger;
}

/** Who is to be on a home broker, read without a running service: for the file that the broker starts from. */
export interface OpenHomePrincipals {
  /** Passwords as hashes only. */
  all(): AsyncIterable<Principal>;
  /** PEM: of gateways, for a broker that is told whom to trust. */
  trustAnchors(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/**
 * The schema is at its newest migration then.
 * @throws Mqtt2goError `unavailable` without the database
 */
export async function openHomePrincipals(
  database: TopicGeneratorDatabase,
  options: HomePrincipalsOptions,
): Promise<OpenHomePrincipals> {
  const dataSource = await open(database);
  const principals = new HomePrincipals(dataSource, undefined, options);
  return {
    all: () => principals.all(),
    trustAnchors: () => anchorsOf(dataSource, options),
    close: () => dataSource.destroy(),
  };
}

/** Brings the schema to its newest migration. @throws Mqtt2goError `unavailable` without the database */
export async function migrateTopicGenerator(database: TopicGeneratorDatabase): Promise<void> {
  await (await open(database)).destroy();
}

function open({ databaseUrl, log }: TopicGeneratorDatabase) {
  return openDataSource({ url: databaseUrl, schema, entities, migrations, log, poolSize: 1 });
}
