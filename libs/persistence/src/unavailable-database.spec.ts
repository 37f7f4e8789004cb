import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataSource } from './data-source.js';

let database: TestDatabase;
let proxy: Server;
let dataSource: DataSource;
let sockets: Socket[];
let isCut: boolean;

/** Stands between the data source and the database, so that the way can be cut. */
beforeEach(async () => {
  database = await createTestDatabase();
  sockets = [];
  isCut = false;
  const target = new URL(database.url);
  proxy = createServer((client) => {
    const folder = target.searchParams.get('host');
    const port = Number(target.port);
    const server = connect(folder === null ? { port, host: target.hostname } : { path: `${folder}/.s.PGSQL.${port}` });
    for (const [from, to] of [[client, server] as const, [server, client] as const]) {
      sockets.push(from);
      from.on('data', (chunk) => isCut || to.write(chunk));
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
    }
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const address = proxy.address();
  const url = new URL(database.url);
  url.searchParams.delete('host');
  url.host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  dataSource = await openDataSource({
    url: url.href,
    schema: 'lamps',
    entities: [],
    migrations: [],
    poolSize: 1,
    statementTimeoutMs: 300,
    log: silentLogger,
  });
});
afterEach(async () => {
  isCut = false;
  await dataSource.destroy();
  for (const socket of sockets) socket.destroy();
  proxy.close();
  await database.drop();
});

/** The pool may have the lost connection for one more time. */
const isUsedAgain = () => expect.poll(() => one().catch(() => undefined), { timeout: 10_000 }).toEqual([{ one: 1 }]);
const one = (): Promise<unknown> => dataSource.query('SELECT 1 AS one');

describe('a database that cannot be used', () => {
  it('is unavailable when it ends the connection, and used again afterwards', async () => {
    const ended = dataSource.query('SELECT pg_terminate_backend(pg_backend_pid())');
    await expect(ended).rejects.toMatchObject({ code: 'unavailable' });
    await isUsedAgain();
  });

  it('is unavailable when the connection breaks in a transaction', async () => {
    const work = dataSource.transaction(async (manager) => {
      for (const socket of sockets) socket.destroy();
      await manager.query('SELECT 1');
    });
    await expect(work).rejects.toMatchObject({ code: 'unavailable' });
    await isUsedAgain();
  });

  it('is unavailable when a statement takes too long', async () => {
    await expect(dataSource.query('SELECT pg_sleep(30)')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('is left when no answer comes at all, and found again on a new connection', async () => {
    isCut = true;
    await expect(one()).rejects.toMatchObject({ code: 'unavailable' });
    // The old connection stays as dead as it is.
    for (const socket of sockets) socket.removeAllListeners('data');
    isCut = false;
    await isUsedAgain();
  }, 20_000);

  it('lets other errors be', async () => {
    await expect(dataSource.query('SELECT nonsense')).rejects.toMatchObject({ code: '42703' });
  });
});
