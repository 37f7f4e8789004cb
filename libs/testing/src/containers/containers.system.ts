import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt from 'mqtt';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createNetwork,
  injectedImages,
  type PostgresContainer,
  type RunningContainer,
  startContainer,
  startMosquitto,
  startPostgres,
  type TestNetwork,
} from './index.js';

let network: TestNetwork;
let postgres: PostgresContainer;
let mosquitto: RunningContainer;
let folder: string;

beforeAll(async () => {
  network = await createNetwork();
  postgres = await startPostgres({ networks: [network] });
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-mosquitto-'));
  await writeFile(join(folder, 'mosquitto.conf'), 'listener 1883\nallow_anonymous true\n');
  mosquitto = await startMosquitto({ folder, ports: [1883], networks: [network], aliases: ['broker'] });
});
afterAll(async () => {
  await mosquitto.remove();
  await postgres.container.remove();
  await network.remove();
  await rm(folder, { recursive: true });
});

async function selectOne(): Promise<unknown> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    return (await client.query('SELECT 1 AS one')).rows[0];
  } finally {
    await client.end();
  }
}

describe('containers for tests', () => {
  it('give a PostgreSQL that keeps its data and its port when it is killed', async () => {
    expect(await selectOne()).toEqual({ one: 1 });
    await postgres.container.kill();
    await expect(selectOne()).rejects.toThrow();
    await postgres.container.start();
    await expect.poll(selectOne, { timeout: 20_000 }).toEqual({ one: 1 });
  });

  it('give a Mosquitto that can be frozen', async () => {
    const url = `mqtt://127.0.0.1:${mosquitto.port(1883)}`;
    const client = await mqtt.connectAsync(url);
    await mosquitto.pause();
    const publishing = client.publishAsync('a', 'b', { qos: 1 });
    await mosquitto.unpause();
    await publishing;
    await client.endAsync();
    expect(await mosquitto.logs()).toContain('running');
  });

  it('find each other by their aliases until they are cut off', async () => {
    const client = await startContainer({
      image: injectedImages().bases.postgres,
      entrypoint: ['sleep', '600'],
      networks: [network],
      user: 'postgres',
    });
    const ask = async (): Promise<number> => (await client.exec(['pg_isready', '--host=postgres', '--timeout=2'])).code;
    try {
      expect(await ask()).toBe(0);
      await client.disconnect(network);
      expect(await ask()).not.toBe(0);
      await client.connect(network);
      expect(await ask()).toBe(0);
    } finally {
      await client.remove();
    }
  });
});
