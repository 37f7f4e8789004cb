import { randomUUID } from 'node:crypto';
import { Collector, statementsDuring } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DiscoveryStand } from './testing/discovery-stand.js';
import { Script, startScriptedProvisioning } from './testing/scripted-provisioning.js';

const hourMs = 3_600_000;
/** What the service does by itself when it starts may still be under way. */
const atStart = /LIMIT|manufacturer/;
const topic = 'CODE-1/activation';

/** Each statement is a round trip that an onboarding waits for, transactions' borders among them. */
describe('what an onboarding asks of the database', () => {
  let stand: DiscoveryStand;
  const cleanUps: (() => Promise<unknown>)[] = [];
  const onboarding_id = randomUUID();

  const statementsOf = async (work: () => Promise<unknown>): Promise<string[]> =>
    (await statementsDuring(work)).filter((text) => !atStart.test(text));
  const withdraw = () =>
    stand.ask({ method: 'DELETE', path: `/activate_device/lamp-1?onboarding_id=${onboarding_id}` });

  beforeAll(async () => {
    stand = await DiscoveryStand.create();
    cleanUps.push(() => stand.close());
    await stand.service.stop();
    await stand.start({ sweepIntervalMs: hourMs });
    const provisioning = await startScriptedProvisioning(stand.busBroker.link('provisioning'), new Script());
    cleanUps.push(() => provisioning.stop());
  });
  afterAll(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });

  it('takes an announcement in one statement', async () => {
    const statements = await statementsOf(async () => {
      expect(await stand.announce({ onboarding_id })).toMatchObject({ status: 201 });
    });
    expect(statements).toHaveLength(1);
  });

  it('takes a claim in two statements, and its repetition in one', async () => {
    const device = stand.activationBroker.link('device').open('test');
    cleanUps.push(() => device.endAsync());
    const messages = new Collector<unknown>();
    device.on('message', (_topic, payload) => messages.add(payload));
    await device.subscribeAsync(topic, { qos: 1 });
    const ask = async () => {
      const heard = messages.items.length;
      const command = { type: 'command', timestamp: 0, command_type: 'mqtt_credentials', value: 'GET_BROKER_DATA' };
      await device.publishAsync(topic, JSON.stringify(command), { qos: 1 });
      // The question itself, and its answer.
      await messages.first(heard + 2);
    };
    expect(await statementsOf(ask)).toHaveLength(2);
    expect(await statementsOf(ask)).toHaveLength(1);
  });

  it('takes a device back in one statement, found or not', async () => {
    expect(await statementsOf(withdraw)).toHaveLength(1);
    expect(stand.admin.principals.has('activation/lamp-1')).toBe(false);
    expect(await statementsOf(withdraw)).toHaveLength(1);
  });
});
