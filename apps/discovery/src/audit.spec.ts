import { randomUUID } from 'node:crypto';
import { listAudit, verifyAudit } from '@mqtt2go/audit';
import { waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schema } from './schema.js';
import { DiscoveryStand } from './testing/discovery-stand.js';
import { Script, startScriptedProvisioning } from './testing/scripted-provisioning.js';

describe('the audit log of activations', () => {
  let stand: DiscoveryStand;
  let client: pg.Client;
  const cleanUps: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    stand = await DiscoveryStand.create();
    cleanUps.push(() => stand.close());
    const provisioning = await startScriptedProvisioning(stand.busBroker.link('provisioning'), new Script());
    cleanUps.push(() => provisioning.stop());
    client = new pg.Client({ connectionString: stand.database.url });
    await client.connect();
    cleanUps.push(() => client.end());
  });
  afterAll(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });

  const story = async (): Promise<string[]> =>
    (await listAudit(client, [schema], { limit: 100 })).map(
      ({ actor_kind: kind, actor_id: id, action, outcome }) => `${kind} ${id}: ${action} ${outcome}`,
    );
  const ask = async (code: string): Promise<void> => {
    const device = stand.activationBroker.link('device').open(`test-${code}`);
    cleanUps.push(() => device.endAsync());
    const command = { type: 'command', timestamp: 0, command_type: 'mqtt_credentials', value: 'GET_BROKER_DATA' };
    await device.publishAsync(`${code}/activation`, JSON.stringify(command), { qos: 1 });
  };

  it('tells of announcements, claims, refusals and withdrawals, each once', async () => {
    const onboarding_id = randomUUID();
    await stand.announce({ onboarding_id });
    await ask('CODE-1');
    await waitFor(async () => (await story()).includes('device lamp-1: activation.claimed ok'));
    await ask('CODE-1');
    await ask('CODE-2');
    await waitFor(async () => (await story()).some((line) => line.includes('request.refused')));
    const withdraw = { method: 'DELETE', path: `/activate_device/lamp-1?onboarding_id=${onboarding_id}` } as const;
    await stand.ask(withdraw);
    await stand.ask(withdraw);
    expect((await story()).toSorted()).toEqual([
      'device lamp-1: activation.claimed ok',
      'device unknown: request.refused unknown_onboarding',
      'service provisioning: activation.announced ok',
      'service provisioning: activation.withdrawn ok',
    ]);
    const verdict = await waitFor(async () => {
      const current = await verifyAudit(client, schema);
      return current.notChained === 0 && current;
    });
    expect(verdict).toMatchObject({ entries: 4, problemCount: 0 });
  });
});
