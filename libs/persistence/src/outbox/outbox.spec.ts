import 'reflect-metadata';
import {
  Collector,
  collectingLogger,
  createTestDatabase,
  deferred,
  silentLogger,
  type TestDatabase,
  waitFor,
} from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataSource } from '../data-source.js';
import { Outbox, type OutboxOptions } from './outbox.js';
import { outboxEntity, outboxAgeMigration, outboxMigration } from './outbox-message.js';

/** Only pokes are seen to by these tests, unless they say otherwise. */
const never = 3_600_000;

let database: TestDatabase;
let dataSources: DataSource[];
let outboxes: Outbox[];

beforeEach(async () => {
  database = await createTestDatabase();
  dataSources = [];
  outboxes = [];
});
afterEach(async () => {
  await Promise.all(outboxes.map((outbox) => outbox.stop()));
  await Promise.all(dataSources.filter((source) => source.isInitialized).map((source) => source.destroy()));
  await database.drop();
});

async function open(options: OutboxOptions = {}): Promise<{ outbox: Outbox; dataSource: DataSource }> {
  const dataSource = await openDataSource({
    url: database.url,
    schema: 'service',
    entities: [outboxEntity],
    migrations: [outboxMigration('service'), outboxAgeMigration('service')],
    poolSize: 5,
    log: silentLogger,
  });
  dataSources.push(dataSource);
  const outbox = new Outbox(dataSource, { pollMs: never, firstRetryMs: 1, random: () => 1, ...options });
  outboxes.push(outbox);
  return { outbox, dataSource };
}

function stored(dataSource: DataSource): Promise<{ id: string; attempts: number; last_error: string | null }[]> {
  return dataSource.query('SELECT id, attempts, last_error FROM outbox ORDER BY id');
}

describe('Outbox', () => {
  it('carries out an effect after the commit, and forgets it', async () => {
    const { outbox, dataSource } = await open();
    const seen = new Collector<unknown>();
    outbox.on('ring', async (payload) => seen.add(payload));
    outbox.start();
    await dataSource.transaction(async (manager) => {
      await outbox.add(manager, 'ring', { bell: 1, deep: { list: [null, 'ü'] } });
      outbox.poke();
      expect(seen.items).toEqual([]);
    });
    expect(await seen.first(1)).toEqual([{ bell: 1, deep: { list: [null, 'ü'] } }]);
    await waitFor(async () => (await stored(dataSource)).length === 0);
  });

  it('carries out nothing of a transaction that is rolled back', async () => {
    const { outbox, dataSource } = await open();
    const seen = new Collector<unknown>();
    outbox.on('ring', async (payload) => seen.add(payload));
    outbox.start();
    await dataSource
      .transaction(async (manager) => {
        await outbox.add(manager, 'ring', { bell: 'rolled back' });
        throw new Error('no');
      })
      .catch(() => undefined);
    await dataSource.transaction((manager) => outbox.add(manager, 'ring', { bell: 'committed' }));
    expect(await seen.first(1)).toEqual([{ bell: 'committed' }]);
  });

  it('begins the effects of one kind in the order in which they were added', async () => {
    const { outbox, dataSource } = await open({ batchSize: 3, workers: 1 });
    const seen = new Collector<unknown>();
    outbox.on('ring', async (payload) => seen.add(payload));
    await dataSource.transaction(async (manager) => {
      for (let bell = 0; bell < 10; bell += 1) {
        await outbox.add(manager, 'ring', { bell });
      }
    });
    outbox.start();
    expect(await seen.first(10)).toEqual(Array.from({ length: 10 }, (_, bell) => ({ bell })));
  });

  it('tries an effect again that failed, and holds up no other meanwhile', async () => {
    const { log, lines } = collectingLogger();
    const { outbox, dataSource } = await open({ log });
    const seen = new Collector<unknown>();
    outbox.on('ring', async (payload) => {
      seen.add(payload);
      if (JSON.stringify(payload).includes('stuck') && seen.items.length < 5) {
        throw new Error('out of order');
      }
    });
    outbox.start();
    await outbox.add(dataSource.manager, 'ring', { bell: 'stuck' });
    await seen.first(1);
    await outbox.add(dataSource.manager, 'ring', { bell: 'good' });
    await waitFor(async () => (await stored(dataSource)).length === 0);
    expect(seen.items).toContainEqual({ bell: 'good' });
    expect(seen.items.filter((payload) => JSON.stringify(payload).includes('stuck')).length).toBeGreaterThan(3);
    expect(lines[0]).toMatchObject({ kind: 'ring', attempts: 1, delayMs: 1, err: { message: 'out of order' } });
    expect(lines[1]).toMatchObject({ attempts: 2, delayMs: 2 });
  });

  it('keeps the reason of a failure and waits longer each time, up to a limit', async () => {
    const { log, lines } = collectingLogger();
    const { outbox, dataSource } = await open({ firstRetryMs: 1, longestRetryMs: 4, log });
    const attempts = new Collector<number>();
    outbox.on('ring', async () => {
      attempts.add(1);
      throw new Error('broken bell');
    });
    outbox.start();
    await outbox.add(dataSource.manager, 'ring', {});
    await attempts.first(5);
    await outbox.stop();
    expect(lines.map((line) => line['delayMs']).slice(0, 5)).toEqual([1, 2, 4, 4, 4]);
    expect((await stored(dataSource))[0]?.last_error).toBe('broken bell');
  });

  it('spreads retries at random, down to half the pause', async () => {
    const { log, lines } = collectingLogger();
    const { outbox, dataSource } = await open({ firstRetryMs: 10_000, random: () => 0, log });
    outbox.on('ring', () => Promise.reject(new Error('no')));
    outbox.start();
    await outbox.add(dataSource.manager, 'ring', {});
    await waitFor(() => lines.length > 0);
    expect(lines[0]).toMatchObject({ delayMs: 5_000 });
  });

  it('carries out what was put off to a future in which the clock was wrongly', async () => {
    const { outbox, dataSource } = await open();
    const seen = new Collector<unknown>();
    outbox.on('ring', async (payload) => seen.add(payload));
    await outbox.add(dataSource.manager, 'ring', { put: 'off' });
    await dataSource.query("UPDATE outbox SET not_before = now() + interval '5 years'");
    outbox.start();
    expect(await seen.first(1)).toEqual([{ put: 'off' }]);
  });

  it('leaves kinds alone that nobody handles here', async () => {
    const { outbox, dataSource } = await open();
    const seen = new Collector<unknown>();
    outbox.on('ring', async (payload) => seen.add(payload));
    outbox.start();
    await outbox.add(dataSource.manager, 'unknown', {});
    await outbox.add(dataSource.manager, 'ring', {});
    await seen.first(1);
    await waitFor(async () => (await stored(dataSource)).length === 1);
  });

  it('gives each effect to one of several processes', async () => {
    const one = await open({ batchSize: 4 });
    const two = await open({ batchSize: 4 });
    const seen = new Collector<string>();
    for (const { outbox } of [one, two]) {
      outbox.on('ring', async (payload) => {
        await new Promise((resolve) => setImmediate(resolve));
        seen.add(JSON.stringify(payload));
      });
    }
    await one.dataSource.transaction(async (manager) => {
      for (let bell = 0; bell < 60; bell += 1) {
        await one.outbox.add(manager, 'ring', { bell });
      }
    });
    one.outbox.start();
    two.outbox.start();
    await seen.first(60);
    await waitFor(async () => (await stored(one.dataSource)).length === 0);
    expect(new Set(seen.items).size).toBe(60);
    expect(seen.items).toHaveLength(60);
  });

  it('finds what another process has left, by looking from time to time', async () => {
    const { outbox, dataSource } = await open({ pollMs: 10 });
    const seen = new Collector<unknown>();
    outbox.on('ring', async (payload) => seen.add(payload));
    outbox.start();
    await dataSource.query(`INSERT INTO outbox (kind, payload) VALUES ('ring', '{"left":true}')`);
    expect(await seen.first(1)).toEqual([{ left: true }]);
  });

  it('carries out an effect again whose process was killed in between', async () => {
    const killed = await open();
    const started = new Collector<unknown>();
    killed.outbox.on('ring', async (payload) => {
      started.add(payload);
      await new Promise(() => undefined);
    });
    killed.outbox.start();
    await killed.outbox.add(killed.dataSource.manager, 'ring', { bell: 1 });
    await started.first(1);
    const next = await open();
    const seen = new Collector<unknown>();
    next.outbox.on('ring', async (payload) => seen.add(payload));
    next.outbox.start();
    // What the system does with the connections of a killed process.
    const idle = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'`;
    await next.dataSource.query(idle);
    outboxes.splice(outboxes.indexOf(killed.outbox), 1);
    next.outbox.poke();
    expect(await seen.first(1)).toEqual([{ bell: 1 }]);
  });

  it('goes on after the database was away', async () => {
    const { outbox, dataSource } = await open({ log: silentLogger, pollMs: 20 });
    const seen = new Collector<unknown>();
    outbox.on('ring', async (payload) => seen.add(payload));
    outbox.start();
    await dataSource.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await outbox.add(dataSource.manager, 'ring', { bell: 1 });
    expect(await seen.first(1)).toEqual([{ bell: 1 }]);
  });

  it('stops after the handlers that run', async () => {
    const { outbox, dataSource } = await open();
    const gate = deferred();
    const started = new Collector<unknown>();
    outbox.on('ring', async (payload) => {
      started.add(payload);
      await gate.promise;
    });
    outbox.start();
    await outbox.add(dataSource.manager, 'ring', { bell: 1 });
    await started.first(1);
    const stopped = outbox.stop();
    await outbox.add(dataSource.manager, 'ring', { bell: 2 });
    gate.resolve();
    await stopped;
    expect(await stored(dataSource)).toHaveLength(1);
    expect(started.items).toEqual([{ bell: 1 }]);
  });

  it('has one handler for a kind', async () => {
    const { outbox } = await open();
    outbox.on('ring', async () => undefined);
    expect(() => outbox.on('ring', async () => undefined)).toThrow("handler for 'ring' already");
  });
});
