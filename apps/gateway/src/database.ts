import type { PlatformConfig } from '@mqtt2go/config';
import { EmbeddedDatabase } from '@mqtt2go/database-embedded';
import type { DataFolder } from './data-folder.js';
import { smallDatabase } from './small-box.js';

export interface Database {
  readonly url: string;
  /** For people: where it is, without the password. */
  readonly description: string;
  stop(): Promise<void>;
}

/** The PostgreSQL of `DATABASE_URL`, or one of our own in the data folder. */
export async function openDatabase(config: PlatformConfig, folder: DataFolder): Promise<Database> {
  if (config.databaseUrl !== undefined) {
    const { host, pathname } = new URL(config.databaseUrl);
    return { url: config.databaseUrl, description: `PostgreSQL at ${host}${pathname}`, stop: async () => undefined };
  }
  const embedded = await EmbeddedDatabase.start({
    folder: folder.join('postgres'),
    database: 'mqtt2go',
    ...(config.memory === 'small' ? { settings: smallDatabase } : {}),
  });
  return {
    url: embedded.url,
    description: `embedded PostgreSQL, port ${new URL(embedded.url).port}`,
    stop: () => embedded.stop(),
  };
}
