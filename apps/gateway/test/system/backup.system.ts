import { auditHeads, type AuditHead, auditSchemas, sealKeyOf, verifyAudit } from '@mqtt2go/audit';
import { certificateAuthority } from '@mqtt2go/messaging';
import { createNetwork, type PostgresContainer, startPostgres, type TestNetwork, waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { join } from '../support/joining.js';
import { World } from '../support/world.js';

/** As docs/operations.md says. */
describe('a backup', () => {
  let network: TestNetwork;
  let before: PostgresContainer;
  let after: PostgresContainer;
  let world: World;
  const databaseOf = ({ url }: PostgresContainer) => ({ url, drop: async () => undefined });

  beforeAll(async () => {
    network = await createNetwork();
    [before, after] = await Promise.all([
      startPostgres({ networks: [network], aliases: ['before'] }),
      startPostgres({ networks: [network], aliases: ['after'] }),
    ]);
    world = await World.create({}, databaseOf(before));
  });
  afterAll(async () => {
    await world?.close();
    await Promise.all([before, after].map((postgres) => postgres?.container.remove().catch(() => undefined)));
    await network?.remove().catch(() => undefined);
  });

  const verify = async (url: string, key: Buffer, heads: readonly AuditHead[] = []) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      const sealKey = sealKeyOf(key.toString());
      const entries = [];
      for (const schema of await auditSchemas(client)) {
        const verdict = await waitFor(async () => {
          const current = await verifyAudit(client, schema, { heads, sealKey });
          return current.notChained === 0 && current;
        });
        expect(verdict).toMatchObject({ problems: [] });
        entries.push(verdict.entries);
      }
      return { entries, heads: await auditHeads(client) };
    } finally {
      await client.end();
    }
  };

  it('and the encryption key make the platform again: devices and apps go on, and the audit log verifies', async () => {
    const app = await world.app();
    const device = await world.mint();
    const { data, topics } = await join(world, app, await world.connectApp(app), device);
    const waiting = await world.mint();
    const { root } = await world.operator.call(certificateAuthority.getAuthority, {});

    // While it runs: a dump is of one moment.
    const dumped = await after.container.exec([
      'pg_dump',
      '--format=custom',
      '--no-owner',
      '--file=/tmp/backup',
      before.urlInside,
    ]);
    expect(dumped).toMatchObject({ code: 0 });
    const key = await world.lose();
    const noted = await verify(before.url, key);
    await before.container.stop();

    const restored = await after.container.exec([
      'pg_restore',
      '--no-owner',
      '--exit-on-error',
      '--dbname=mqtt2go',
      '/tmp/backup',
    ]);
    expect(restored).toMatchObject({ code: 0 });
    await world.startFrom(databaseOf(after), key);

    expect((await world.operator.call(certificateAuthority.getAuthority, {})).root).toBe(root);
    const again = await world.connectApp(app);
    const [topic = ''] = topics;
    const live = await world.connectHome({ ...data, deviceId: device.deviceId });
    expect(await live.subscribe(topic)).toBe(true);
    await again.subscribe(topic);
    await live.publish(topic, { type: 'report', value: 'on again' });
    await again.hear(({ json }) => JSON.stringify(json).includes('on again'));

    // One that the manufacturer had told of, and that was not added yet.
    await join(world, app, again, waiting);
    // The dump may have been made before the last entries were chained; what was chained is the same.
    const chained = noted.heads.filter(({ position }) => position > 0);
    expect(chained).toHaveLength(4);
    await verify(after.url, key);
  });
});
