import { Mqtt2goError } from '@mqtt2go/protocol';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import type { Context } from '../terminal/context.js';

/**
 * Reads the platform's database itself and not by its services: whether a log can be trusted is not for those to say who
 * write it.
 * @throws Mqtt2goError `unavailable` when there is none to be reached
 */
export async function withAuditDatabase<T>(
  context: Context,
  given: string | undefined,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const url = given ?? context.env['DATABASE_URL'] ?? (await embeddedUrl(context.dataDir));
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url, application_name: 'mqtt2go-audit' });
  try {
    await client.connect();
  } catch (cause) {
    await client.end().catch(() => undefined);
    const { host, pathname } = new URL(url);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Mqtt2goError('unavailable', `The database ${host}${pathname} cannot be reached: ${reason}`, { cause });
  }
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The embedded database of a platform that runs on this data folder. */
async function embeddedUrl(dataDir: string): Promise<string> {
  const read = async (name: string): Promise<string> =>
    (await readFile(join(dataDir, 'postgres', name), 'utf8')).trim();
  try {
    const [port, password] = await Promise.all([read('port'), read('password')]);
    return `postgres://mqtt2go:${password}@127.0.0.1:${port}/mqtt2go`;
  } catch (cause) {
    throw new Mqtt2goError(
      'unavailable',
      `${dataDir} has no embedded database. Say where it is with --database-url or DATABASE_URL.`,
      { cause },
    );
  }
}

/** The platform's key-encryption key, in base64, by which the chain's seals are checked; undefined where it is not to be had. */
export async function findKey(context: Context, file: string | undefined): Promise<string | undefined> {
  const { env, dataDir } = context;
  if (file === undefined && env['MQTT2GO_KEY'] !== undefined) return env['MQTT2GO_KEY'];
  const named = file ?? env['MQTT2GO_KEY_FILE'];
  try {
    return await readFile(named ?? join(dataDir, 'secrets', 'encryption.key'), 'utf8');
  } catch (cause) {
    if (named === undefined) return undefined;
    throw new Mqtt2goError('configuration_invalid', `The key file ${named} cannot be read.`, { cause });
  }
}
