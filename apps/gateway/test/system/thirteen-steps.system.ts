import type { KeyMode } from '@mqtt2go/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  addDeviceTopic,
  fetchBrokerData,
  getDeviceTopics,
  join,
  joinWithOwnKey,
  now,
  request,
} from '../support/joining.js';
import { takeThirteenSteps } from '../support/thirteen-steps.js';
import { report } from '../support/wire.js';
import type { AppCredentials } from '../support/world.js';
import { SystemStack } from './support/system-stack.js';

const shards = ['home-0', 'home-1'] as const;

describe('the platform in containers: two home brokers, two processes of each service', () => {
  let stack: SystemStack;
  /** A home on each shard. */
  const apps = new Map<string, AppCredentials>();

  beforeAll(async () => {
    stack = await SystemStack.start({ replicas: 2 });
    for (let tries = 0; apps.size < shards.length && tries < 10; tries += 1) {
      const app = await stack.app();
      apps.set(stack.shardOf(app), app);
    }
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${await stack.tailOfLogs()}\n`);
    await stack.closeWires();
  });
  afterAll(() => stack?.close());

  const appOn = (shard: string): AppCredentials => {
    const app = apps.get(shard);
    if (app === undefined) throw new Error(`no home was placed on ${shard}`);
    return app;
  };

  it('places homes on both brokers', () => {
    expect([...apps.keys()].toSorted((a, b) => a.localeCompare(b))).toEqual(shards);
  });

  it('adds a device in 13 steps, each with the topic and message of the page', async () => {
    const app = appOn('home-1');
    const controller = await stack.connectApp(app);
    const device = await stack.mint({ type: 'socket' });
    const brokerPort = stack.deployment.homes.get('home-1')?.devices ?? 0;
    await takeThirteenSteps(stack, { app, controller, device, brokerPort });
  });

  const modes: readonly KeyMode[] = ['existing-key', 'csr', 'server-key'];
  it.each(shards.flatMap((shard) => modes.map((keyMode) => [shard, keyMode] as const)))(
    'on %s, in the key mode %s: the device comes to the broker of its home, and works',
    async (shard, keyMode) => {
      const app = appOn(shard);
      const controller = await stack.connectApp(app);
      const device = await stack.mint({ keyMode });
      const joining = keyMode === 'csr' ? joinWithOwnKey : join;
      const { wire, data, topics } = await joining(stack, app, controller, device);
      const [topic = ''] = topics;
      expect(topics).toEqual([`${app.homeId}/${app.gatewayId}/living/${device.type}/${device.deviceId}`]);
      expect(data.brokerPort).toBe(stack.deployment.homes.get(shard)?.devices);
      expect(data.key === device.key).toBe(keyMode === 'existing-key');
      await controller.publish(topic, { type: 'command', timestamp: 1, command_type: 'set', value: 'on' });
      await wire.hear(({ topic: heard, json }) => heard === topic && json.command_type === 'set');
    },
  );

  it('gives a device of one broker nothing at the other', async () => {
    const controller = await stack.connectApp(appOn('home-0'));
    const device = await stack.mint();
    const { data, topics } = await join(stack, appOn('home-0'), controller, device);
    const [topic = ''] = topics;
    const elsewhere = await stack.connectHome(data, 'localhost', stack.deployment.homes.get('home-1')?.devices);
    for (const filter of [topic, `${device.deviceId}/topics`, '#', '+/+/+/+/+'])
      expect(await elsewhere.subscribe(filter), filter).toBe(false);
    await elsewhere.publish(`${device.deviceId}/topics`, getDeviceTopics());
    // The one that listens there would have answered this one first.
    const other = await stack.connectApp(appOn('home-1'));
    await join(stack, appOn('home-1'), other, await stack.mint());
    expect(elsewhere.heard).toEqual([]);
  });

  it('tells a controller of one broker nothing at the other', async () => {
    const { url } = appOn('home-1');
    await expect(stack.connectApp({ ...appOn('home-0'), url })).rejects.toThrow();
  });

  it('answers the same when the device asks again', async () => {
    const app = appOn('home-0');
    const controller = await stack.connectApp(app);
    const device = await stack.mint({ keyMode: 'server-key' });
    await request(controller, app, device);
    const first = await fetchBrokerData(stack, device);
    const second = await fetchBrokerData(stack, device);
    expect(second).toEqual(first);
    const home = await stack.connectHome(first, first.brokerIp, first.brokerPort);
    await home.subscribe(`${device.deviceId}/topics`);
    await home.publish(`${device.deviceId}/topics`, getDeviceTopics());
    await controller.hear(
      report('rename_device', (value) => (value as { device_id?: string }).device_id === device.deviceId),
    );
    await controller.publish(addDeviceTopic(app), {
      type: 'command',
      timestamp: now(),
      command_type: 'rename_device',
      value: { device_id: device.deviceId, device_name: 'Lamp', group_id: ['living', 'upstairs'] },
    });
    const told = await home.hear(report('topics'));
    expect(told.json.value).toHaveLength(2);
    home.forget();
    await home.publish(`${device.deviceId}/topics`, getDeviceTopics());
    expect((await home.hear(report('topics'))).json.value).toEqual(told.json.value);
  });
});
