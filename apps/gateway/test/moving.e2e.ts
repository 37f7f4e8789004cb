import { moving, topicGenerator } from '@mqtt2go/messaging';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayPair, inDatabase } from './support/gateway-pair.js';
import { addDeviceTopic, getDeviceTopics, join, type Joined } from './support/joining.js';
import { report, type Wire } from './support/wire.js';
import type { AppCredentials, MintedDevice, World } from './support/world.js';

const times = { tellingMs: 3_000, betweenBatchesMs: 10, batchSize: 10 };

interface Device {
  readonly minted: MintedDevice;
  readonly joined: Joined;
}

describe('a home that moves', () => {
  let pair: GatewayPair;
  let app: AppCredentials;

  const setUp = async (options: Parameters<typeof GatewayPair.create>[0] = {}, devices = 2): Promise<Device[]> => {
    pair = await GatewayPair.create({ moverTimes: times, ...options });
    const { gateway, homeId, gatewayId } = pair;
    app = await gateway.app(homeId, gatewayId);
    const controller = await gateway.connectApp(app);
    const made: Device[] = [];
    for (let count = 0; count < devices; count += 1) {
      const minted = await gateway.mint();
      made.push({ minted, joined: await join(gateway, app, controller, minted, ['living', `room-${count}`]) });
    }
    return made;
  };

  afterEach(() => pair.close());

  it('goes to the cloud and back with everything that it has', async () => {
    const [lamp, plug] = await setUp();
    if (lamp === undefined || plug === undefined) throw new Error('no devices');
    const before = await contents(pair, pair.gateway);

    await pair.move('remote');
    await pair.until(({ state }) => state === 'telling' || state === 'moved', 8_000);
    const told = await lamp.joined.wire.hear(report('mqtt_credentials'));
    expect(told.json.value).toStrictEqual({
      broker_ip: 'localhost',
      broker_port: pair.cloud.platform.file.ports.home,
    });
    const atCloud = await arrive(pair.cloud, lamp);
    expect(await pair.ended()).toMatchObject({ state: 'moved', to: 'remote', devices: 2, awaited: 1 });
    expect(atCloud.topics).toStrictEqual(lamp.joined.topics);

    // The other one was off all the while; the old broker tells it, and nothing else.
    const late = await pair.gateway.connectHome({ ...plug.joined.data, deviceId: plug.minted.deviceId });
    await late.subscribe(`${plug.minted.deviceId}/topics`);
    await late.publish(`${plug.minted.deviceId}/topics`, getDeviceTopics());
    expect((await late.hear(report('mqtt_credentials'))).json.value).toMatchObject({
      broker_port: pair.cloud.platform.file.ports.home,
    });
    expect(await late.subscribe(plug.joined.topics[0] ?? '')).toBe(false);
    await arrive(pair.cloud, plug);

    const controller = await pair.cloud.connectApp(app);
    await controller.subscribe(`${app.homeId}/#`);
    await controller.publish(lamp.joined.topics[0] ?? '', command('set', 'on'));
    await atCloud.wire.hear(({ json }) => json.command_type === 'set');

    await pair.move('local');
    const back = await atCloud.wire.hear(report('mqtt_credentials'));
    expect(back.json.value).toMatchObject({ broker_port: pair.gateway.platform.file.ports.home });
    await arrive(pair.gateway, lamp);
    await arrive(pair.gateway, plug);
    expect(await pair.ended()).toMatchObject({ state: 'moved', to: 'local', awaited: 0 });
    expect(await contents(pair, pair.gateway)).toStrictEqual(before);
  });
});

function command(command_type: string, value: unknown): object {
  return { type: 'command', timestamp: Math.floor(Date.now() / 1000), command_type, value };
}

/** A device comes to a broker with what it has, and asks for its topics. */
async function arrive(world: World, { minted, joined }: Device): Promise<{ wire: Wire; topics: string[] }> {
  const wire = await world.connectHome({ ...joined.data, deviceId: minted.deviceId });
  await wire.subscribe(`${minted.deviceId}/topics`);
  await wire.publish(`${minted.deviceId}/topics`, getDeviceTopics());
  const { json } = await wire.hear(report('topics'));
  const topics = json.value as string[];
  for (const topic of topics) await wire.subscribe(topic);
  return { wire, topics };
}

/** What a platform has of the home, byte for byte, without what belongs to the platform itself. */
async function contents({ homeId }: GatewayPair, world: World): Promise<Record<string, unknown[]>> {
  const queries = {
    gateways: 'SELECT gateway_id FROM topic_generator.gateway WHERE home_id = $1 ORDER BY 1',
    groups: 'SELECT group_id FROM topic_generator.home_group WHERE home_id = $1 ORDER BY 1',
    devices: 'SELECT * FROM topic_generator.device WHERE home_id = $1 ORDER BY device_id',
    deviceGroups: `SELECT g.* FROM topic_generator.device_group g JOIN topic_generator.device USING (device_id)
      WHERE home_id = $1 ORDER BY device_id, group_id`,
    admissions: `SELECT c.* FROM topic_generator.device_certificate c JOIN topic_generator.device USING (device_id)
      WHERE home_id = $1 ORDER BY device_id, serial_number`,
    controllers: `SELECT username, gateway_id, role, password_salt, password_hash FROM topic_generator.controller
      WHERE home_id = $1 ORDER BY username`,
    onboardings: `SELECT onboarding_id, gateway_id, device_id, device_type, key_mode, state, device_name, group_ids, topics
      FROM provisioning.onboarding WHERE home_id = $1 ORDER BY device_id`,
    factory: `SELECT f.device_id, f.activation_code_hash, f.key_mode, f.public_key FROM provisioning.factory_device f
      JOIN provisioning.onboarding USING (device_id) WHERE home_id = $1 ORDER BY device_id`,
    certificates: `SELECT c.* FROM certificate_authority.device_certificate c
      JOIN topic_generator.device USING (device_id) WHERE home_id = $1 ORDER BY serial_number`,
  };
  return inDatabase(world, async (client) => {
    const found: Record<string, unknown[]> = {};
    for (const [name, query] of Object.entries(queries)) found[name] = (await client.query(query, [homeId])).rows;
    return found;
  });
}

void [moving, topicGenerator, addDeviceTopic];
