import { type RunnableService, runnableServices } from '@mqtt2go/config';
import { certificateAuthority } from '@mqtt2go/messaging';
import { type RunningContainer, waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkDatabase } from './support/invariants.js';
import { SystemStack, untilReady } from './support/system-stack.js';
import { type Added, type LivingDevice, Traffic } from './support/traffic.js';

const homes = 6;
/** Devices that join while a replica of each service is away. */
const many = 20;

describe('two replicas of each service', () => {
  let stack: SystemStack;
  let traffic: Traffic;

  beforeAll(async () => {
    stack = await SystemStack.start({ replicas: 2, homeBrokers: 2 });
    traffic = await Traffic.open(stack, homes);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${await stack.tailOfLogs(60)}\n`);
  });
  afterAll(async () => {
    await traffic?.close();
    await stack?.close();
  });

  const replica = (name: RunnableService, index: number): RunningContainer => {
    const container = stack.service(name)[index];
    if (container === undefined) throw new Error(`there is no ${name}-${index}`);
    return container;
  };
  const replicas = (index: number): RunningContainer[] => runnableServices.map((name) => replica(name, index));

  /** Adds devices until so many have joined since; gives all that were added from here on. */
  const join = async (count: number, since = traffic.added.length): Promise<Added[]> => {
    await traffic.until((added) => added.length >= since + count, `${count} devices`);
    return traffic.added.slice(since);
  };

  it('share the work on both home brokers, and do each part of it once', async () => {
    await traffic.stockUp(10);
    traffic.start();
    const added = await join(many, 0);
    await traffic.stop();
    await checkDatabase(stack, traffic.added);
    expect(new Set(traffic.lanes.map(({ app }) => stack.shardOf(app)))).toEqual(new Set(['home-0', 'home-1']));
    // The fifth has no part in it: nobody goes past the gateways' door here.
    for (const name of runnableServices.filter((service) => service !== 'federation')) {
      const worked = await Promise.all([0, 1].map((index) => workOf(replica(name, index))));
      for (const onboardings of worked) expect(onboardings.size, name).toBeGreaterThan(0);
    }
    const logs = await Promise.all([0, 1].map((index) => replica('provisioning', index).logs()));
    for (const { device } of added) {
      const ends = logs.flatMap((log) =>
        log.split('\n').filter((line) => line.includes(`"${device.deviceId}"`) && line.includes('"state":"active"')),
      );
      expect(ends, `${device.deviceId} became active`).toHaveLength(1);
    }
  });

  it.each([0, 1])(
    'kill -9 of replica %i of each while devices join: none is lost, none certified twice',
    async (index) => {
      await traffic.stockUp(10);
      traffic.start();
      const since = traffic.added.length;
      await join(3, since);
      await Promise.all(replicas(index).map((container) => container.kill()));
      await join(many + 3, since);
      await Promise.all(replicas(index).map((container) => container.start()));
      await Promise.all(replicas(index).map((container) => untilReady(container)));
      await join(many + 6, since);
      await traffic.stop();
      await checkDatabase(stack, traffic.added);
    },
  );

  it('leave their work to the other when they are asked to stop: nobody is refused', async () => {
    await traffic.stockUp(10);
    traffic.start();
    const since = traffic.added.length;
    await join(3, since);
    for (const index of [0, 1]) {
      const before = traffic.added.length;
      await Promise.all(replicas(index).map((container) => container.stop()));
      await join(8, before);
      await Promise.all(replicas(index).map((container) => container.start()));
      await Promise.all(replicas(index).map((container) => untilReady(container)));
    }
    await traffic.stop();
    const added = traffic.added.slice(since);
    expect(added.flatMap(({ refusals }) => refusals)).toEqual([]);
    await checkDatabase(stack, traffic.added);
  });

  it('make what one of them has done known at the broker, whichever is asked to undo it', async () => {
    const operator = await stack.operator();
    const victims = traffic.lanes.flatMap(({ added }) => added.slice(-2)).map(({ device }) => device);
    await Promise.all(
      victims.map(({ deviceId }) =>
        operator.call(certificateAuthority.revokeCertificates, { deviceId, reason: 'keyCompromise' }),
      ),
    );
    const canSubscribe = async (device: LivingDevice): Promise<boolean> => {
      const { certificate = '', key = '' } = (await device.store.credentials()) ?? {};
      const { broker } = await device.store.state();
      const [topic = ''] = device.topics;
      const home = await stack
        .connectHome({ cert: certificate, key, deviceId: device.deviceId }, broker?.host, broker?.port)
        .catch(() => undefined);
      return (await home?.subscribe(topic).catch(() => false)) === true;
    };
    expect(victims.length).toBeGreaterThan(0);
    // A revocation is answered when it is stored; the brokers are told right after that.
    for (const device of victims) {
      await waitFor(async () => !(await canSubscribe(device)), `${device.deviceId} is turned away`, 10_000);
    }
    for (const device of victims) expect(await canSubscribe(device), device.deviceId).toBe(false);
  });
});

/** The onboardings that a process has had a part in, by its log. */
async function workOf(container: RunningContainer): Promise<Set<string>> {
  const ids = (await container.logs()).matchAll(/"onboardingId":"([0-9a-f-]{36})"/g);
  return new Set([...ids].map(([, id = '']) => id));
}
