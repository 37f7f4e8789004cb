import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@mqtt2go/testing';
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

  describe('after the plug was pulled', () => {
    const folderOf = (...path: string[]): string => join(folder, 'postgres', ...path);
    /** Ends the server and all its processes at once. Answers how many bytes of its log were safe before. */
    const pull = async (): Promise<void> => {
      const postmaster = Number((await readFile(folderOf('cluster', 'postmaster.pid'), 'utf8')).split('\n')[0]);
      const pids = [postmaster, ...(await childrenOf(postmaster))];
      // The parent first, so that it starts no others.
      for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
      await waitFor(() => pids.every((pid) => !isAlive(pid)), 'the end of PostgreSQL');
    };
    const write = (url: string, from: number, to: number): Promise<unknown> =>
      query(url, `INSERT INTO kept SELECT n, repeat('x', 500) FROM generate_series(${from}, ${to}) AS n`);
    /** The segment of the log that was written last, and how much of it is safe. */
    const endOfLog = async (url: string): Promise<{ file: string; offset: number }> => {
      const [end] = (await query(
        url,
        `SELECT file_name, file_offset FROM pg_walfile_name_offset(pg_current_wal_flush_lsn())`,
      )) as { file_name: string; file_offset: number }[];
      return { file: folderOf('cluster', 'pg_wal', end?.file_name ?? ''), offset: Number(end?.file_offset) };
    };

    it.each([
      [
        'is noise',
        async (file: string, offset: number) => {
          const handle = await open(file, 'r+');
          await handle.write(randomBytes(64 * 1_024), 0, undefined, offset);
          await handle.close();
        },
      ],
      [
        'is half a page of noise',
        async (file: string, offset: number) => {
          const handle = await open(file, 'r+');
          await handle.write(randomBytes(100), 0, undefined, offset + 7);
          await handle.close();
        },
      ],
      ['is missing', async (file: string, offset: number) => truncate(file, Math.ceil(offset / 8_192) * 8_192)],
    ])('keeps all that was committed when the rest of its log %s', async (_what, spoil) => {
      const first = await start();
      await query(first.url, 'CREATE TABLE kept (n integer PRIMARY KEY, text text)');
      await write(first.url, 1, 500);
      await query(first.url, 'CHECKPOINT');
      await write(first.url, 501, 1_000);
      const { file, offset } = await endOfLog(first.url);
      await pull();
      await spoil(file, offset);

      const second = await start();
      expect(await query(second.url, 'SELECT count(*)::integer, sum(n)::integer FROM kept')).toEqual([
        { count: 1_000, sum: 500_500 },
      ]);
      await write(second.url, 1_001, 1_100);
      await second.stop();
      const third = await start();
      expect(await query(third.url, 'SELECT count(*)::integer FROM kept')).toEqual([{ count: 1_100 }]);
    });

    it('starts when other processes have the numbers that its lock files name', async () => {
      const first = await start();
      const socketLock = folderOf(`.s.PGSQL.${new URL(first.url).port}.lock`);
      await pull();
      for (const path of [folderOf('cluster', 'postmaster.pid'), socketLock]) {
        const [, ...rest] = (await readFile(path, 'utf8')).split('\n');
        await writeFile(path, [String(process.pid), ...rest].join('\n'));
      }
      const second = await start();
      expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(second.url).toBe(first.url);
    });

    it('starts when only its first process was killed, and the others are about to end', async () => {
      const first = await start();
      await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS one');
      process.kill(Number((await readFile(folderOf('cluster', 'postmaster.pid'), 'utf8')).split('\n')[0]), 'SIGKILL');
      const second = await start();
      expect(await query(second.url, 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
    });

    it.each(['', 'half-a-pass', '\0\0\0\0'])('gives itself a new password when its file holds %j', async (content) => {
      const first = await start();
      await query(first.url, 'CREATE TABLE kept AS SELECT 1 AS one');
      await pull();
      await writeFile(folderOf('password'), content);
      await writeFile(folderOf('port'), content);
      const second = await start();
      expect(await query(second.url, 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
      await expect(query(first.url.replace(/:\d+\//, `:${new URL(second.url).port}/`), 'SELECT 1')).rejects.toThrow();
      await second.stop();
      const third = await start();
      expect(third.url).toBe(second.url);
    });

    it('makes its cluster anew when that was being made', async () => {
      await mkdir(folderOf('cluster.1a2b3c4d', 'base'), { recursive: true });
      await writeFile(folderOf('cluster.1a2b3c4d', 'PG_VERSION'), '');
      const { url } = await start();
      expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(await readdir(folderOf())).not.toContain('cluster.1a2b3c4d');
    });
  });
});

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
