import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '@mqtt2go/testing';
import { expect } from 'vitest';
import type { SystemStack } from './system-stack.js';
import type { Added } from './traffic.js';

const open = "state IN ('requested', 'certified', 'announced', 'claimed', 'awaiting-name')";

/** What has to hold of the database after any trouble, once all have finished what they began. */
export async function checkDatabase(stack: SystemStack, added: readonly Added[]): Promise<void> {
  await becomesNothing(stack, `SELECT device_id, state FROM provisioning.onboarding WHERE ${open}`, 'open onboardings');
  const outboxes = await stack.query<{ schema: string }>(
    `SELECT table_schema AS schema FROM information_schema.tables WHERE table_name = 'outbox'`,
  );
  expect(outboxes.length).toBeGreaterThan(0);
  for (const { schema } of outboxes)
    await becomesNothing(stack, `SELECT * FROM ${schema}.outbox`, `the outbox of ${schema}`);
  await becomesNothing(stack, 'SELECT device_id FROM discovery.waiting_activation', 'waiting activations');

  const ids = added.map(({ device }) => device.deviceId);
  const states = await stack.query<{ device_id: string; state: string }>(
    `SELECT DISTINCT ON (device_id) device_id, state FROM provisioning.onboarding
      WHERE device_id = ANY($1) ORDER BY device_id, sequence DESC`,
    [ids],
  );
  expect(states.filter(({ state }) => state !== 'active')).toEqual([]);
  expect(states).toHaveLength(ids.length);

  const valid = await stack.query<{ device_id: string; count: number }>(
    `SELECT id AS device_id, count(serial_number) FILTER (WHERE revoked_at IS NULL)::int AS count
       FROM unnest($1::text[]) id LEFT JOIN certificate_authority.device_certificate ON device_id = id GROUP BY id`,
    [ids],
  );
  expect(
    valid.filter(({ count }) => count !== 1),
    'active devices with other than one valid certificate',
  ).toEqual([]);
  const orphans = await stack.query(
    `SELECT serial_number, device_id FROM certificate_authority.device_certificate c WHERE NOT EXISTS (
       SELECT FROM certificate_authority.onboarding_certificate o WHERE o.serial_number = c.serial_number)
       AND renewed_from IS NULL`,
  );
  expect(orphans, 'certificates beside the one of their onboarding').toEqual([]);
  const kept = await stack.query(
    `SELECT onboarding_id FROM certificate_authority.onboarding_certificate
      WHERE sealed_key IS NOT NULL OR (serial_number IS NOT NULL AND outcome IS NULL)`,
  );
  expect(kept, 'private keys, or certificates that nobody settled').toEqual([]);
}

async function becomesNothing(stack: SystemStack, sql: string, what: string): Promise<void> {
  let rows: unknown[] = [];
  try {
    await waitFor(
      async () => {
        rows = await stack.query(sql);
        if (rows.length > 0) await delay(200);
        return rows.length === 0;
      },
      what,
      60_000,
    );
  } catch (cause) {
    throw new Error(`${what} stay: ${JSON.stringify(rows).slice(0, 2_000)}`, { cause });
  }
}
