import type { Principal } from '@mqtt2go/access';
import { openDataSource } from '@mqtt2go/persistence';
import type { Clock } from '@mqtt2go/ports';
import type { Logger } from 'pino';
import { entities } from '../entities.js';
import { Manufacturer } from '../manufacturers/manufacturer.entity.js';
import { migrations } from '../migrations/index.js';
import { schema } from '../schema.js';
import { ActivationPrincipals } from './activation-principals.js';

export interface DiscoveryDatabase {
  readonly databaseUrl: string;
  readonly log: Logger;
}

/** Who is to be on the activation broker, read without a running service: for the files that the broker starts from. */
export interface OpenActivations {
  principals(): AsyncIterable<Principal>;
  /** PEM: the CAs of the registered manufacturers. */
  trustAnchors(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/**
 * The schema is at its newest migration then.
 * @throws Mqtt2goError `unavailable` without the database
 */
export async function openActivations(database: DiscoveryDatabase, clock: Clock): Promise<OpenActivations> {
  const dataSource = await open(database);
  const waiting = new ActivationPrincipals(dataSource, clock);
  return {
    principals: () => waiting.all(),
    trustAnchors: async () => {
      const all = await dataSource.getRepository(Manufacturer).find({ order: { fingerprint: 'ASC' } });
      return all.map(({ certificate }) => certificate);
    },
    close: () => dataSource.destroy(),
  };
}

/** Brings the schema to its newest migration. @throws Mqtt2goError `unavailable` without the database */
export async function migrateDiscovery(database: DiscoveryDatabase): Promise<void> {
  await (await open(database)).destroy();
}

function open({ databaseUrl, log }: DiscoveryDatabase) {
  return openDataSource({ url: databaseUrl, schema, entities, migrations, log, poolSize: 1 });
}
