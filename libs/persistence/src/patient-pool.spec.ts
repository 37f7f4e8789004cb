import { createTestDatabase, silentLogger, type TestDatabase, waitFor } from '@mqtt2go/testing';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataSource, type PersistenceOptions } from './data-source.js';
import { outboxAgeMigration, outboxEntity, outboxMigration } from './outbox/outbox-message.js';
import { Outbox } from './outbox/outbox.js';
import { PatientPool } from './patient-pool.js';
import { PersistenceModule } from './persistence.module.js';

let database: TestDatabase;
let pool: PatientPool;

beforeEach(async () => {
  database = await createTestDatabase();
  pool = new PatientPool({ connectionString: database.url, max: 3, connectionTimeoutMillis: 5_000 });
  // The database is dropped with connections to it.
  pool.on('error', () => undefined);
});
afterEach(async () => {
  if (!pool.ending) await pool.end();
  await database.drop();
});

describe('PatientPool', () => {
  it('has many short statements share one connection', async () => {
    const backends = await Promise.all(
      Array.from({ length: 20 }, () => pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')),
    );
    expect(new Set(backends.map(({ rows }) => rows[0]?.pid)).size).toBe(1);
    expect(pool.totalCount).toBe(1);
  });

  it('opens another for who holds one and waits for the next, up to its size', async () => {
    const held = [await pool.connect(), await pool.connect(), await pool.connect()];
    expect(pool.totalCount).toBe(3);
    const refused = new PatientPool({ connectionString: database.url, max: 1, connectionTimeoutMillis: 200 });
    const only = await refused.connect();
    await expect(refused.connect()).rejects.toThrow('timeout exceeded');
    only.release();
    for (const client of held) client.release();
    await refused.end();
  });

  it('serves those who wait in their order', async () => {
    const first = await pool.connect();
    const order: number[] = [];
    const waiting = [1, 2, 3, 4].map(async (number) => {
      const client = await pool.connect();
      order.push(number);
      client.release();
    });
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3, 4]);
    first.release();
  });

  it('begins with one again after the others have gone', async () => {
    const some = [await pool.connect(), await pool.connect()];
    for (const client of some) client.release(true);
    await waitFor(() => pool.totalCount === 0, 'an empty pool');
    await Promise.all(Array.from({ length: 10 }, () => pool.query('SELECT 1')));
    expect(pool.totalCount).toBe(1);
  });

  it('passes on that there is no database', async () => {
    const nowhere = new PatientPool({ host: '127.0.0.1', port: 1, max: 2 });
    await expect(Promise.all([nowhere.connect(), nowhere.connect()])).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await nowhere.end();
  });
});

describe('a data source of two connections', () => {
  const options = (): PersistenceOptions => ({
    url: database.url,
    schema: 'small',
    entities: [outboxEntity],
    migrations: [outboxMigration('small'), outboxAgeMigration('small')],
    poolSize: 2,
    log: silentLogger,
  });

  it('has statements in a transaction beside others', async () => {
    const dataSource = await openDataSource(options());
    const inner = await dataSource.transaction(async () => dataSource.query<{ one: number }[]>('SELECT 1 AS one'));
    expect(inner).toEqual([{ one: 1 }]);
    await dataSource.destroy();
  });

  it('leaves a connection to the effects that its outbox carries out', async () => {
    const app = await NestFactory.createApplicationContext(PersistenceModule.forRoot(options()), { logger: false });
    const [dataSource, outbox] = [app.get(DataSource), app.get(Outbox)];
    const done = new Set<unknown>();
    const failed: unknown[] = [];
    outbox.on('look', async (payload) => {
      await dataSource.query('SELECT pg_sleep(0.01)').catch((error: unknown) => failed.push(error));
      done.add(JSON.stringify(payload));
    });
    outbox.start();
    await dataSource.transaction(async (manager) => {
      for (let number = 0; number < 64; number += 1) await outbox.add(manager, 'look', { number });
    });
    for (let poke = 0; poke < 10; poke += 1) outbox.poke();
    await waitFor(() => done.size === 64, 'all effects');
    expect(failed).toEqual([]);
    await app.close();
  });
});
