import type { PersistenceOptions } from '@mqtt2go/persistence';
import type { Logger } from 'pino';
import { entities } from './entities.js';
import { migrations } from './migrations/index.js';
import { schema } from './schema.js';

/** How this service opens its schema. */
export function databaseOptions({
  databaseUrl,
  poolSize,
  log,
}: {
  readonly databaseUrl: string;
  readonly poolSize?: number;
  readonly log: Logger;
}): PersistenceOptions {
  return {
    url: databaseUrl,
    schema,
    entities,
    migrations,
    log,
    ...(poolSize === undefined ? {} : { poolSize }),
  };
}
