import { createTestDatabase, deferred, silentLogger, type TestDatabase, waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataSource } from 'typeorm';
import { openDataSource } from './data-source.js';
import { ProcessLocks } from './process-locks.js';

let database: TestDatabase;
let processes: DataSource[];
let locks: ProcessLocks[];

beforeAll(async () => {
  database = await createTestDatabase();
  const open = (statementTimeoutMs: number) =>
    openDataSource({
      url: database.url,
      schema: 'locks',
      entities: [],
      migrations: [],
      poolSize: 4,
      statementTimeoutMs,
      log: silentLogger,
    });
  processes = await Promise.all([open(10_000), open(200)]);
  locks = processes.map((dataSource) => new ProcessLocks(dataSource, { namespace: 'lamps', holdTimeoutMs: 500 }));
});
afterAll(async () => {
  await Promise.all(processes.map((dataSource) => dataSource.destroy()));
  await database.drop();
});

function lockOf(index: 0 | 1): ProcessLocks {
  const lock = locks[index];
  if (lock === undefined) throw new Error('there are two');
  return lock;
}

/** Keeps the database's side of the holder from going idle. */
async function waitingFor(blocked: number): Promise<void> {
  await waitFor(async () => {
    const rows: unknown[] | undefined = await processes[0]?.query(
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'",
    );
    return rows?.length === blocked;
  }, 'someone who waits for a lock');
}

describe('ProcessLocks', () => {
  it('lets one at a time do something to a name, in this process and in others', async () => {
    const order: string[] = [];
    const first = deferred();
    const running = lockOf(0).hold(['lamp-1', 'lamp-2'], async () => {
      order.push('first begins');
      await first.promise;
      order.push('first ends');
    });
    await waitFor(() => order.length === 1, 'the first');
    const second = lockOf(0).hold(['lamp-2', 'lamp-3'], async () => order.push('second'));
    await waitingFor(1);
    await lockOf(1).hold(['lamp-4'], async () => order.push('another name'));
    first.resolve();
    await Promise.all([running, second]);
    expect(order).toEqual(['first begins', 'another name', 'first ends', 'second']);
  });

  it('has two that ask for the same names in different orders not wait for each other', async () => {
    let running = 0;
    const work = async (): Promise<void> => {
      running += 1;
      expect(running).toBe(1);
      await processes[0]?.query('SELECT 1');
      running -= 1;
    };
    const names = ['a', 'b', 'c', 'd'];
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => lockOf(0).hold(index % 2 === 0 ? names : names.toReversed(), work)),
    );
  });

  it('leaves connections for the work, whoever has locks on the same database', async () => {
    const [dataSource] = processes;
    if (dataSource === undefined) throw new Error('there are two');
    const each = ['a', 'b', 'c', 'd'].map((namespace) => new ProcessLocks(dataSource, { namespace }));
    const all = each.flatMap((lock) =>
      ['one', 'two'].map((name) => lock.hold([name], () => dataSource.query<unknown[]>('SELECT pg_sleep(0.05)'))),
    );
    expect(await Promise.all(all)).toHaveLength(8);
  });

  it('gives it back when the work fails', async () => {
    await expect(lockOf(0).hold(['lamp'], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await lockOf(1).hold(['lamp'], async () => 'yes')).toBe('yes');
  });

  it('refuses what another process has for too long', async () => {
    const first = deferred();
    const begun = deferred();
    const running = lockOf(0).hold(['lamp'], async () => {
      begun.resolve();
      await first.promise;
    });
    await begun.promise;
    await expect(lockOf(1).hold(['lamp'], async () => undefined)).rejects.toMatchObject({ code: 'unavailable' });
    first.resolve();
    await running;
  });

  it('takes it from a process that does nothing any more, which learns of it', async () => {
    const paused = deferred();
    const begun = deferred();
    const running = lockOf(0).hold(['lamp'], async () => {
      begun.resolve();
      await paused.promise;
    });
    await begun.promise;
    expect(
      await waitFor(
        () =>
          lockOf(1)
            .hold(['lamp'], async () => 'mine')
            .catch(() => undefined),
        'it',
      ),
    ).toBe('mine');
    paused.resolve();
    await expect(running).rejects.toMatchObject({ code: 'unavailable' });
  });
});
