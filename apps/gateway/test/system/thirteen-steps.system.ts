import { X509Certificate } from 'node:crypto';
import type { KeyMode } from '@mqtt2go/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  addDeviceTopic,
  announced,
  fetchBrokerData,
  getDeviceTopics,
  join,
  joinWithOwnKey,
  now,
  request,
} from '../support/joining.js';
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
    // 1: with the leading slash, as the page's step 1 writes it.
    const topic = `/${addDeviceTopic(app)}`;
    expect(await controller.subscribe(topic)).toBe(true);
    await controller.publish(topic, {
      type: 'command',
      timestamp: now(),
      command_type: 'activate_device',
      value: { activation_code: device.code, device_id: device.deviceId },
    });
    // 2
    const progress = await controller.hear(announced(device.deviceId));
    expect(progress.topic).toBe(topic);

    // 5, 6
    const activation = await stack.connectToActivation(device);
    expect(await activation.subscribe(`${device.code}/activation`)).toBe(true);
    await activation.publish(`${device.code}/activation`, {
      type: 'command',
      timestamp: now(),
      command_type: 'mqtt_credentials',
      value: 'GET_BROKER_DATA',
    });
    // 7
    const answer = await activation.hear(report('mqtt_credentials'));
    expect(answer.topic).toBe(`${device.code}/activation`);
    expect(answer.json).toEqual({
      type: 'report',
      report_type: 'command_response',
      timestamp: expect.any(Number),
      report_name: 'mqtt_credentials',
      value: {
        broker_ip: 'localhost',
        broker_port: stack.deployment.homes.get('home-1')?.devices,
        device_certificate: expect.stringContaining('BEGIN CERTIFICATE'),
      },
    });
    const { device_certificate: bundle, broker_port: port } = answer.json.value as {
      device_certificate: string;
      broker_port: number;
    };
    expect(bundle).not.toContain('PRIVATE KEY');
    expect(new X509Certificate(bundle).subject).toContain(`CN=${device.deviceId}`);
    await activation.close();

    // 8
    const home = await stack.connectHome({ cert: bundle, key: device.key }, 'localhost', port);
    expect(await home.subscribe(`${device.deviceId}/topics`)).toBe(true);
    // 9
    await home.publish(`${device.deviceId}/topics`, {
      type: 'command',
      timestamp: now(),
      command_type: 'topics',
      value: 'GET_DEVICE_TOPICS',
    });
    // 10
    const asked = await controller.hear(report('rename_device', (value) => typeof value === 'object'));
    expect(asked.topic).toBe(topic);
    expect(asked.json).toEqual({
      type: 'report',
      report_type: 'command_response',
      timestamp: expect.any(Number),
      report_name: 'rename_device',
      value: { device_type: 'socket', device_id: device.deviceId },
    });
    // 11
    await controller.publish(topic, {
      type: 'command',
      timestamp: now(),
      command_type: 'rename_device',
      value: { device_id: device.deviceId, device_name: 'Reading lamp', group_id: 'living-room' },
    });
    // 12
    const told = await home.hear(report('topics'));
    const own = `${app.homeId}/${app.gatewayId}/living-room/socket/${device.deviceId}`;
    expect(told.topic).toBe(`${device.deviceId}/topics`);
    expect(told.json).toEqual({
      type: 'report',
      report_type: 'command_response',
      timestamp: expect.any(Number),
      report_name: 'topics',
      value: [own],
    });
    // 13
    expect(await home.subscribe(own)).toBe(true);
    await controller.publish(own, { type: 'command', timestamp: now(), command_type: 'set', value: 'on' });
    const command = await home.hear(({ topic: heard, json }) => heard === own && json.command_type === 'set');
    expect(command.json.value).toBe('on');
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
