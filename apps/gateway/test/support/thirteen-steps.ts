import { X509Certificate } from 'node:crypto';
import { expect } from 'vitest';
import { z } from 'zod';
import { addDeviceTopic, announced, type Doors, now } from './joining.js';
import { report, type Wire } from './wire.js';
import type { AppCredentials, MintedDevice } from './world.js';

/**
 * Adds a socket in 13 steps, each with the topic and message of the page.
 * @param brokerPort of the home's broker, which the device is to be told
 */
export async function takeThirteenSteps(
  doors: Doors,
  {
    app,
    controller,
    device,
    brokerPort,
  }: { app: AppCredentials; controller: Wire; device: MintedDevice; brokerPort: number },
): Promise<void> {
  // 1: with the leading slash, as the page's step 1 writes it.
  const topic = `/${addDeviceTopic(app)}`;
  await controller.subscribe(topic);
  await controller.publish(topic, {
    type: 'command',
    timestamp: now(),
    command_type: 'activate_device',
    value: { activation_code: device.code, device_id: device.deviceId },
  });
  // 2: the Discovery server has it; told as progress, on the form of the topic that was used.
  const progress = await controller.hear(announced(device.deviceId));
  expect(progress.topic).toBe(topic);

  // 5, 6
  const activation = await doors.connectToActivation(device);
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
      broker_port: brokerPort,
      device_certificate: expect.stringContaining('BEGIN CERTIFICATE'),
    },
  });
  const { device_certificate: bundle } = z.object({ device_certificate: z.string() }).parse(answer.json.value);
  expect(bundle).not.toContain('PRIVATE KEY');
  expect(new X509Certificate(bundle).subject).toContain(`CN=${device.deviceId}`);
  await activation.close();

  // 8
  const home = await doors.connectHome(
    { cert: bundle, key: device.key, deviceId: device.deviceId },
    'localhost',
    brokerPort,
  );
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
}
