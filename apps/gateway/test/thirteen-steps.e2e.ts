import { generateKeys, writePrivateKey } from '@mqtt2go/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  addDeviceTopic,
  announced,
  activateDevice,
  fetchBrokerData,
  getDeviceTopics,
  join,
  renameDevice,
  request,
} from './support/joining.js';
import { takeThirteenSteps } from './support/thirteen-steps.js';
import { report } from './support/wire.js';
import { type AppCredentials, World } from './support/world.js';
import type { Wire } from './support/wire.js';

describe('setup with a remote broker, over real sockets and TLS', () => {
  let world: World;
  let app: AppCredentials;
  let controller: Wire;

  beforeAll(async () => {
    world = await World.create();
    app = await world.app();
    controller = await world.connectApp(app);
  });
  afterAll(() => world.close());

  it('adds a device in 13 steps, each with the topic and message of the page', async () => {
    const device = await world.mint({ type: 'socket' });
    await takeThirteenSteps(world, { app, controller, device, brokerPort: world.platform.file.ports.home });
  });

  it('gives a device of several groups a topic for each, from a group array', async () => {
    const device = await world.mint({ type: 'light' });
    const { topics } = await join(world, app, controller, device, ['kitchen', 'upstairs']);
    const prefix = `${app.homeId}/${app.gatewayId}`;
    expect(topics.toSorted()).toEqual([
      `${prefix}/kitchen/light/${device.deviceId}`,
      `${prefix}/upstairs/light/${device.deviceId}`,
    ]);
  });

  it('lets a device have a certificate for a key that it made itself', async () => {
    const device = await world.mint({ keyMode: 'csr' });
    const own = await generateKeys();
    await request(controller, app, device);
    const csr = world.csr(device.deviceId, own);
    const data = await fetchBrokerData(
      world,
      device,
      { request: 'GET_BROKER_DATA', csr },
      writePrivateKey(own.privateKey),
    );
    expect(data.cert).not.toContain('PRIVATE KEY');
    const home = await world.connectHome({ ...data, deviceId: device.deviceId });
    await home.subscribe(`${device.deviceId}/topics`);
    await home.publish(`${device.deviceId}/topics`, getDeviceTopics());
    await controller.hear(
      report('rename_device', (value) => (value as { device_id?: string }).device_id === device.deviceId),
    );
    await controller.publish(addDeviceTopic(app), renameDevice(device.deviceId));
    await home.hear(report('topics'));
  });

  it('gives a device that cannot make a key one of the platform’s making', async () => {
    const device = await world.mint({ keyMode: 'server-key' });
    const { data, topics } = await join(world, app, controller, device);
    expect(data.key).not.toBe(device.key);
    expect(topics).toHaveLength(1);
  });

  it('answers the same when the device asks again, on either broker', async () => {
    const device = await world.mint();
    await request(controller, app, device);
    const first = await fetchBrokerData(world, device);
    const second = await fetchBrokerData(world, device);
    expect(second).toEqual(first);

    const home = await world.connectHome({ ...first, deviceId: device.deviceId });
    const topic = `${device.deviceId}/topics`;
    const asksForName = report(
      'rename_device',
      (value) => (value as { device_id?: string }).device_id === device.deviceId,
    );
    await home.subscribe(topic);
    await home.publish(topic, getDeviceTopics());
    await controller.hear(asksForName);
    controller.forget();
    await home.publish(topic, getDeviceTopics());
    await controller.hear(asksForName);

    await controller.publish(addDeviceTopic(app), renameDevice(device.deviceId));
    const told = await home.hear(report('topics'));
    home.forget();
    await home.publish(topic, getDeviceTopics());
    expect((await home.hear(report('topics'))).json.value).toEqual(told.json.value);
  });

  it('tells a device that was away when it was named, as soon as it asks again', async () => {
    const device = await world.mint();
    await request(controller, app, device);
    const data = await fetchBrokerData(world, device);
    const before = await world.connectHome({ ...data, deviceId: device.deviceId });
    await before.subscribe(`${device.deviceId}/topics`);
    await before.publish(`${device.deviceId}/topics`, getDeviceTopics());
    await controller.hear(
      report('rename_device', (value) => (value as { device_id?: string }).device_id === device.deviceId),
    );
    await before.close();
    await controller.publish(addDeviceTopic(app), renameDevice(device.deviceId));
    await controller.hear(report('rename_device', (value) => value === 'ok'));

    const after = await world.connectHome({ ...data, deviceId: device.deviceId });
    await after.subscribe(`${device.deviceId}/topics`);
    await after.publish(`${device.deviceId}/topics`, getDeviceTopics());
    await after.hear(report('topics'));
  });

  it('goes on where it was after a stop and a start, at every point of the way', async () => {
    const own = await World.create();
    try {
      const place = await own.app();
      const device = await own.mint();
      let person = await own.connectApp(place);
      await request(person, place, device);
      await own.restart();

      const data = await fetchBrokerData(own, device);
      await own.restart();

      person = await own.connectApp(place);
      await person.subscribe(addDeviceTopic(place));
      let home = await own.connectHome({ ...data, deviceId: device.deviceId });
      await home.subscribe(`${device.deviceId}/topics`);
      await home.publish(`${device.deviceId}/topics`, getDeviceTopics());
      await person.hear(report('rename_device'));
      await own.restart();

      person = await own.connectApp(place);
      await person.subscribe(addDeviceTopic(place));
      await person.publish(addDeviceTopic(place), renameDevice(device.deviceId));
      await person.hear(report('rename_device', (value) => value === 'ok'));
      await own.restart();

      home = await own.connectHome({ ...data, deviceId: device.deviceId });
      await home.subscribe(`${device.deviceId}/topics`);
      await home.publish(`${device.deviceId}/topics`, getDeviceTopics());
      const told = await home.hear(report('topics'));
      expect(await home.subscribe((told.json.value as string[])[0] ?? '')).toBe(true);
    } finally {
      await own.close();
    }
  });

  it('adds devices of many homes at the same time', async () => {
    const added = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const place = await world.app();
        const person = await world.connectApp(place);
        return join(world, place, person, await world.mint());
      }),
    );
    expect(added.every(({ topics }) => topics.length === 1)).toBe(true);
  });

  it('restarts the window when the same device is asked for again', async () => {
    const device = await world.mint();
    await request(controller, app, device);
    controller.forget();
    await controller.publish(addDeviceTopic(app), activateDevice(device));
    await controller.hear(announced(device.deviceId));
    await fetchBrokerData(world, device);
  });
});
