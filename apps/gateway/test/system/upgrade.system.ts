import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { runnableServices } from '@mqtt2go/config';
import { type KeyMode, Mqtt2goError } from '@mqtt2go/protocol';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkDatabase } from './support/invariants.js';
import { SystemStack } from './support/system-stack.js';
import { LivingDevice, openController, Traffic } from './support/traffic.js';

const schemas = ['certificate_authority', 'discovery', 'provisioning', 'topic_generator'];

describe('an upgrade', () => {
  let stack: SystemStack;
  const devices: LivingDevice[] = [];

  beforeAll(async () => {
    stack = await SystemStack.start({ homeBrokers: 1 });
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${await stack.tailOfLogs()}\n`);
  });
  afterAll(async () => {
    await Promise.all(devices.map((device) => device.stop()));
    await stack?.close();
  });

  /** Puts all rows into the tables that there were at first; columns and tables that came later are gone. */
  async function goBackToTheFirstSchema(): Promise<void> {
    const sql = await readFile(resolve(import.meta.dirname, 'fixtures/first-schema.sql'), 'utf8');
    const renamed = schemas.map((schema) => `ALTER SCHEMA ${schema} RENAME TO newer_${schema};`);
    await stack.query(`${renamed.join('\n')}\n${sql}`);
    const columns = await stack.query<{ schema: string; table: string; columns: string }>(
      `SELECT table_schema AS schema, table_name AS table, string_agg(quote_ident(column_name), ', ') AS columns
         FROM information_schema.columns WHERE table_schema = ANY($1) AND table_name <> 'migration'
        GROUP BY table_schema, table_name`,
      [schemas],
    );
    expect(columns.length).toBeGreaterThan(15);
    const copies = columns.map(({ schema, table, columns: names }) => {
      // Names of controllers had no home in them.
      const values = names.replace(/\busername\b/, `split_part(username, '@', 1)`);
      return `DELETE FROM ${schema}.${table}; INSERT INTO ${schema}.${table} (${names}) OVERRIDING SYSTEM VALUE
        SELECT ${values} FROM newer_${schema}.${table};`;
    });
    const identities = `SELECT setval(pg_get_serial_sequence('provisioning.onboarding', 'sequence'),
      (SELECT max(sequence) FROM provisioning.onboarding));`;
    const dropped = schemas.map((schema) => `DROP SCHEMA newer_${schema} CASCADE;`);
    await stack.query(
      `BEGIN; SET LOCAL session_replication_role = replica; ${copies.join('\n')} ${identities} ${dropped.join('\n')} COMMIT;`,
    );
  }

  it('from the first schema: devices go on, and more can be added to their home', async () => {
    const app = await stack.app('old-home');
    const first = await openController(stack, app);
    const modes: readonly KeyMode[] = ['existing-key', 'csr', 'server-key'];
    for (const keyMode of modes) {
      const minted = await stack.mint({ keyMode });
      const device = new LivingDevice(minted, app, keyMode, stack, await stack.ca());
      devices.push(device);
      device.start();
      const { deviceId, code } = minted;
      await first.addDevice({ deviceId, activationCode: code, naming: { name: 'Lamp', groupIds: ['living'] } });
      await device.active();
    }
    await first.close();

    for (const service of runnableServices) for (const container of stack.service(service)) await container.stop();
    await goBackToTheFirstSchema();
    await stack.deployment.initialise(stack.postgres.urlInside, stack.inside);
    for (const service of runnableServices) for (const container of stack.service(service)) await container.start();
    await stack.allReady();

    // A broker that takes no hashes of passwords knows controllers of the time before it only when they get a new one.
    const again = await stack.app('old-home');
    const controller = await openController(stack, again);
    for (const device of devices) {
      const [topic = ''] = await device.active();
      expect(topic).toMatch(/^old-home\/gw\/living\//);
      const answer = (): Promise<unknown> => controller.send(topic, 'set', 'on', { timeoutMs: 3_000 });
      await waitFor(() => answer().catch(() => undefined), `an answer of ${device.deviceId}`, 60_000);
    }
    await controller.close();
    const traffic = await Traffic.open(stack, 2);
    try {
      traffic.start();
      await traffic.until((added) => added.length >= 6, 'new devices');
      await traffic.stop();
      await checkDatabase(stack, traffic.added);
    } finally {
      await traffic.close();
    }
  });

  it('back is refused with a clear line', async () => {
    for (const service of runnableServices) {
      const schema = service.replace('-', '_');
      await stack.query(`INSERT INTO ${schema}.migration ("timestamp", name) VALUES (4102444800000, $1)`, [
        'FromTheFuture4102444800000',
      ]);
      const [container] = stack.service(service);
      if (container === undefined) throw new Error(`${service} has no process`);
      await container.stop();
      const before = (await container.logs()).length;
      await container.start();
      expect(await container.ended()).toBe(1);
      const said = (await container.logs()).slice(before).trim().split('\n');
      const line = said.at(-1) ?? '';
      expect(line).toContain(`the schema ${schema} of the database is newer than this program`);
      expect(line).toContain('FromTheFuture4102444800000');
    }
    const error = await stack.deployment.initialise(stack.postgres.urlInside, stack.inside).catch((cause) => cause);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(Mqtt2goError);
    expect(String(error)).toContain('is newer than this program');
  });
});
