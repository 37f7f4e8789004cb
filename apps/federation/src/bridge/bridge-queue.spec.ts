import { schemaDifferences } from '@mqtt2go/persistence';
import { silentLogger } from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migrations } from '../migrations/index.js';
import { BridgeQueue } from './bridge-queue.js';
import { FederationDatabase } from '../testing/federation-database.js';

let database: FederationDatabase;
let dataSource: DataSource;
beforeAll(async () => {
  database = await FederationDatabase.create();
  dataSource = await database.open();
});
afterAll(async () => {
  await database.close();
});
beforeEach(() => dataSource.query('TRUNCATE federation.bridge_message'));

const message = (number: number, bytes = 1) => ({
  topic: `home/${number}`,
  payload: Buffer.alloc(bytes, number),
  qos: 1 as const,
  retain: number % 2 === 1,
});
const numbers = async (queue: BridgeQueue): Promise<number[]> =>
  (await queue.next('0', 1_000)).map(({ topic }) => Number(topic.slice('home/'.length)));

describe('the schema', () => {
  it('is what the entities say, and can be taken back', async () => {
    expect(await schemaDifferences(dataSource)).toEqual([]);
    for (let undone = 0; undone < migrations.length; undone += 1) await dataSource.undoLastMigration();
    expect(await dataSource.query('SELECT tablename FROM pg_tables WHERE schemaname = current_schema()')).toEqual([
      { tablename: 'migration' },
    ]);
    await dataSource.runMigrations();
  });
});

describe('the bridge’s queue', () => {
  it('keeps the order of messages that are added at once, and their bytes and flags', async () => {
    const queue = await BridgeQueue.open(dataSource, silentLogger);
    await Promise.all(Array.from({ length: 500 }, (_, number) => queue.add(message(number % 250))));
    expect(await numbers(queue)).toEqual(Array.from({ length: 500 }, (_, number) => number % 250));
    const [, second] = await queue.next('0', 2);
    expect(second).toMatchObject({ topic: 'home/1', payload: Buffer.from([1]), qos: 1, retain: true });
    expect(queue.size).toBe(500);
  });

  it('has what was added when another process opens it, and forgets what has arrived', async () => {
    const queue = await BridgeQueue.open(dataSource, silentLogger);
    for (let number = 0; number < 5; number += 1) await queue.add(message(number));
    const other = await BridgeQueue.open(dataSource, silentLogger);
    expect(other.size).toBe(5);
    const first = await other.next('0', 2);
    await other.remove(first.map(({ id }) => id));
    expect(await numbers(other)).toEqual([2, 3, 4]);
    expect(other.size).toBe(3);
    // What is asked for after the last one is what is newer.
    expect(await other.next(first.at(-1)?.id ?? '0', 1)).toMatchObject([{ topic: 'home/2' }]);
  });

  it('gives up the oldest when there are too many, or too many bytes', async () => {
    const few = await BridgeQueue.open(dataSource, silentLogger, { maxMessages: 3 });
    for (let number = 0; number < 5; number += 1) await few.add(message(number));
    expect(await numbers(few)).toEqual([2, 3, 4]);
    expect(few.dropped).toBe(2);
    const small = await BridgeQueue.open(dataSource, silentLogger, { maxBytes: 200 });
    await small.add(message(5, 100));
    await small.add(message(6, 80));
    expect(await numbers(small)).toEqual([4, 5, 6]);
  });

  it('stores later what it could not store', async () => {
    const queue = await BridgeQueue.open(dataSource, silentLogger);
    await dataSource.query('ALTER TABLE federation.bridge_message RENAME TO away');
    await expect(queue.add(message(1))).rejects.toThrow();
    await dataSource.query('ALTER TABLE federation.away RENAME TO bridge_message');
    await queue.add(message(2));
    expect(await numbers(queue)).toEqual([1, 2]);
  });
});
