import { createCertificateRequest, generateKeys, splitPem, writePrivateKey } from '@mqtt2go/pki';
import { type AppCredentials, type Identity, type MintedDevice, type World } from './world.js';
import { report, type Wire } from './wire.js';

/** How a device comes to the platform's brokers. */
export type Doors = Pick<World, 'connectToActivation' | 'connectHome'>;

export const now = (): number => Math.floor(Date.now() / 1000);

export const activateDevice = (device: { code: string; deviceId: string }): object => ({
  type: 'command',
  timestamp: now(),
  command_type: 'activate_device',
  value: { activation_code: device.code, device_id: device.deviceId },
});

export const renameDevice = (deviceId: string, group: unknown = 'living', name = 'Lamp'): object => ({
  type: 'command',
  timestamp: now(),
  command_type: 'rename_device',
  value: { device_id: deviceId, device_name: name, group_id: group },
});

export const getBrokerData = (value: unknown = 'GET_BROKER_DATA'): object => ({
  type: 'command',
  timestamp: now(),
  command_type: 'mqtt_credentials',
  value,
});

export const getDeviceTopics = (): object => ({
  type: 'command',
  timestamp: now(),
  command_type: 'topics',
  value: 'GET_DEVICE_TOPICS',
});

export const announced = (deviceId: string) =>
  report('activate_device', (value) => {
    const told = value as { device_id?: string; state?: string };
    return told.device_id === deviceId && told.state === 'announced';
  });

/** Step 1 up to the moment when the device is waited for. */
export async function request(
  controller: Wire,
  app: AppCredentials,
  device: MintedDevice,
  topic = addDeviceTopic(app),
): Promise<void> {
  await controller.subscribe(topic);
  await controller.publish(topic, activateDevice(device));
  await controller.hear(announced(device.deviceId));
}

export const addDeviceTopic = (app: { homeId: string; gatewayId: string }): string =>
  `${app.homeId}/${app.gatewayId}/add_device`;

export interface BrokerData extends Identity {
  readonly brokerIp: string;
  readonly brokerPort: number;
}

/** Steps 5 to 7: the device gets its broker and its certificate. */
export async function fetchBrokerData(
  world: Doors,
  device: MintedDevice,
  value?: unknown,
  ownKey = device.key,
): Promise<BrokerData> {
  const wire = await world.connectToActivation(device);
  const topic = `${device.code}/activation`;
  if (!(await wire.subscribe(topic))) throw new Error('the activation topic was refused');
  await wire.publish(topic, getBrokerData(value));
  const { json } = await wire.hear(report('mqtt_credentials'));
  const told = json.value as { broker_ip: string; broker_port?: number; device_certificate: string };
  if (typeof told.device_certificate !== 'string') throw new Error(JSON.stringify(told));
  await wire.close();
  const blocks = splitPem(told.device_certificate);
  const keys = blocks.filter(({ label }) => label === 'PRIVATE KEY');
  const pem = (wanted: boolean): string =>
    blocks
      .filter(({ label }) => (label === 'PRIVATE KEY') === wanted)
      .map((block) => block.pem)
      .join('\n');
  return {
    brokerIp: told.broker_ip,
    brokerPort: told.broker_port ?? 8883,
    cert: pem(false),
    key: keys.length > 0 ? pem(true) : ownKey,
  };
}

/** All 13 steps. Answers the device's live connection, its identity and its topics. */
export async function join(
  world: Doors,
  app: AppCredentials,
  controller: Wire,
  device: MintedDevice,
  group: unknown = 'living',
): Promise<Joined> {
  await request(controller, app, device);
  return moveIn(world, app, controller, device, await fetchBrokerData(world, device), group);
}

/** All 13 steps, of a device that makes its own key and asks for a certificate for it. */
export async function joinWithOwnKey(
  world: Doors,
  app: AppCredentials,
  controller: Wire,
  device: MintedDevice,
): Promise<Joined> {
  const keys = await generateKeys();
  const csr = createCertificateRequest({ deviceId: device.deviceId, keys });
  await request(controller, app, device);
  const value = { request: 'GET_BROKER_DATA', csr };
  const data = await fetchBrokerData(world, device, value, writePrivateKey(keys.privateKey));
  return moveIn(world, app, controller, device, data);
}

export interface Joined {
  readonly wire: Wire;
  readonly data: BrokerData;
  readonly topics: string[];
}

/** Steps 8 to 13. */
async function moveIn(
  world: Doors,
  app: AppCredentials,
  controller: Wire,
  device: MintedDevice,
  data: BrokerData,
  group: unknown = 'living',
): Promise<Joined> {
  const wire = await world.connectHome({ ...data, deviceId: device.deviceId }, data.brokerIp, data.brokerPort);
  const topic = `${device.deviceId}/topics`;
  await wire.subscribe(topic);
  await wire.publish(topic, getDeviceTopics());
  await controller.hear(
    report('rename_device', (value) => (value as { device_id?: string }).device_id === device.deviceId),
  );
  await controller.publish(addDeviceTopic(app), renameDevice(device.deviceId, group));
  const { json } = await wire.hear(report('topics'));
  const topics = json.value as string[];
  for (const own of topics) await wire.subscribe(own);
  return { wire, data, topics };
}
