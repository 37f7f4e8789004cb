import { certificateAuthority } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Fault, fullDisk, killsAndPauses, lostSnapshots, networkCuts, slowDatabase } from './support/faults.js';
import { checkDatabase } from './support/invariants.js';
import { type Recovery, recoveryTable, writeRecoveries } from './support/recovery-table.js';
import { SystemStack } from './support/system-stack.js';
import { type Added, type LivingDevice, Traffic } from './support/traffic.js';

const homes = 6;

describe('faults, with devices being added meanwhile', () => {
  let stack: SystemStack;
  let traffic: Traffic;
  const faults = new Map<string, Fault>();
  const recoveries: Recovery[] = [];

  beforeAll(async () => {
    stack = await SystemStack.start();
    traffic = await Traffic.open(stack, homes);
    const all = [
      ...killsAndPauses(stack),
      ...networkCuts(stack),
      ...(await lostSnapshots(stack)),
      fullDisk(stack),
      slowDatabase(stack, 200),
    ];
    for (const fault of all) faults.set(fault.name, fault);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${await stack.tailOfLogs()}\n`);
  });
  afterAll(async () => {
    if (recoveries.length > 0) {
      process.stdout.write(`\n${recoveryTable(recoveries)}\n`);
      await writeRecoveries(recoveries);
    }
    await traffic?.close();
    await stack?.close();
  });

  /** Adds devices before, in and after the fault; gives those that were added. */
  async function through(fault: Fault): Promise<{ added: Added[]; recovery: Recovery }> {
    await traffic.retire(1);
    await traffic.stockUp(homes);
    const before = traffic.added.length;
    traffic.start();
    let healed: Promise<unknown> | undefined;
    try {
      await traffic.until((added) => added.length >= before + homes, 'the first devices');
      await fault.inject();
      await delay(fault.holdMs ?? 3_000);
      const healedAt = performance.now();
      healed = fault.heal();
      await healed;
      const waiting = traffic.lanes.flatMap(({ current }) => (current === undefined ? [] : [current.deviceId]));
      const after = (added: readonly Added[]): Added[] => added.filter(({ doneAt }) => doneAt > healedAt);
      const isThere = (added: readonly Added[]) => (id: string) => added.some(({ device }) => device.deviceId === id);
      await traffic.until((added) => waiting.every(isThere(added)), 'the devices that were being added');
      const allDone = after(traffic.added).filter(({ device }) => waiting.includes(device.deviceId));
      await traffic.until((added) => after(added).length >= homes, 'further devices');
      await traffic.stop();
      const added = traffic.added.slice(before);
      const sinceHealed = (some: readonly Added[]): number[] => some.map(({ doneAt }) => doneAt - healedAt);
      const recovery = {
        fault: fault.name,
        added: added.length,
        refusals: added.flatMap(({ refusals }) => refusals),
        firstMs: Math.round(Math.min(...sinceHealed(after(added)))),
        allMs: Math.round(Math.max(0, ...sinceHealed(allDone))),
      };
      return { added, recovery };
    } catch (error) {
      // The next fault finds a sound platform that nobody uses.
      await (healed ?? fault.heal()).catch(() => undefined);
      await traffic.stop().catch(() => undefined);
      throw error;
    }
  }

  /** Each answers a command on its topic, which the broker leads it to. */
  async function expectWork(added: readonly Added[]): Promise<void> {
    for (const { added: ofLane, controller } of traffic.lanes) {
      for (const { device } of ofLane.filter((one) => added.includes(one)).slice(-3)) {
        const [topic = ''] = await device.active();
        const answer = (): Promise<unknown> => controller.send(topic, 'set', 'on', { timeoutMs: 3_000 });
        await waitFor(() => answer().catch(() => undefined), `an answer of ${device.deviceId}`, 60_000);
      }
    }
  }

  /** Takes a device's certificate back, through whatever goes wrong meanwhile. */
  async function revoke({ deviceId }: LivingDevice): Promise<void> {
    const operator = await stack.operator();
    const input = { deviceId, reason: 'keyCompromise' } as const;
    await waitFor(
      () =>
        operator.call(certificateAuthority.revokeCertificates, input).then(
          () => true,
          () => delay(300, false),
        ),
      `the revocation of ${deviceId}`,
      90_000,
    );
  }

  async function expectShutOut(device: LivingDevice): Promise<void> {
    const credentials = await device.store.credentials();
    const { broker } = await device.store.state();
    const [topic = ''] = device.topics;
    const home = await stack
      .connectHome(
        { cert: credentials?.certificate ?? '', key: credentials?.key ?? '', deviceId: device.deviceId },
        broker?.host,
        broker?.port,
      )
      .catch(() => undefined);
    if (home === undefined) return;
    expect(await home.subscribe(topic)).toBe(false);
    expect(await home.subscribe(`${device.deviceId}/topics`)).toBe(false);
    await home.close();
  }

  const names = [
    ...['provisioning', 'discovery', 'certificate-authority', 'topic-generator', 'federation', 'all services'],
    ...['broker home-0', 'broker home-1', 'broker activation', 'broker bus', 'the database'],
  ].flatMap((part) => [`kill -9 of ${part}`, `pause of ${part}`]);
  const others = [
    'network cut at broker home-0',
    'network cut at broker activation',
    'network cut at broker bus',
    'network cut at the database',
    'network cut at discovery',
    'network cut at provisioning',
    'broker home-0 restarted with its snapshot lost',
    'broker activation restarted with its snapshot lost',
    'broker home-1 restarted with its snapshot and its persistence lost',
    'full disk of the database',
    'slow database, 200 ms for each answer',
  ];

  it.each([...names, ...others])('%s: no device is lost, none certified twice, and it goes on', async (name) => {
    const fault = faults.get(name);
    if (fault === undefined) throw new Error(`there is no fault '${name}'`);
    const victim = traffic.lanes[0]?.added.at(-1)?.device;
    const revoking = victim === undefined ? undefined : revoke(victim);
    revoking?.catch(() => undefined);
    const { added, recovery } = await through(fault);
    recoveries.push(recovery);
    await revoking;
    await checkDatabase(stack, added);
    await expectWork(added);
    await victim?.stop();
    if (victim !== undefined) await expectShutOut(victim);
  });
});
