import { openDataSource } from '@mqtt2go/persistence';
import type { Logger } from 'pino';
import { entities } from './entities.js';
import { migrations } from './migrations/index.js';
import { schema } from './schema.js';

/** Brings the schema to its newest migration. @throws Mqtt2goError `unavailable` without the database */
export async function migrateFederation(database: { databaseUrl: string; log: Logger }): Promise<void> {
  const { databaseUrl: url, log } = database;
  const dataSource = await openDataSource({ url, schema, entities, migrations, log, poolSize: 1 });
  await dataSource.destroy();
}
