import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedDatabase } from './embedded-database.js';

describe('EmbeddedDatabase', () => {
  let folder: string;
  const started: EmbeddedDatabase[] = [];

  beforeEach(async () => {
    // mkdtemp makes a folder that no other account may enter, as a checkout in /root is.
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-database-'));
  });
  afterEach(async () => {
    await started
      .at(-1)
      ?.stop()
      .catch(() => undefined);
    started.length = 0;
    await rm(folder, { recursive: true, force: true });
  });

  const start = async (): Promise<EmbeddedDatabase> => {
    const database = await EmbeddedDatabase.start({ folder: join(folder, 'postgres'), database: 'mqtt2go' });
    started.push(database);
    return database;
  };
  const query = async (url: string, sql: string): Promise<unknown[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };

  it('makes the cluster, keeps what is stored over a stop, and is durable', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();

    const second = await start();
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect(await query(second.url, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    // Port and password: who knew it before finds it again.
    expect(second.url).toBe(first.url);
  });

  it('takes over a server that was left running', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS one');
    const second = await start();
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
  });

  it('refuses whoever does not know the password', async () => {
    const { url } = await start();
    const password = (await readFile(join(folder, 'postgres', 'password'), 'utf8')).trim();
    await expect(query(url.replace(password, 'guess'), 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });
});
