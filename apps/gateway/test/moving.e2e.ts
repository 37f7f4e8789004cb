import { federation, moving, topicGenerator } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import { Pool } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayPair, inDatabase, standingAt } from './support/gateway-pair.js';
import {
  activateDevice,
  addDeviceTopic,
  fetchBrokerData,
  getDeviceTopics,
  join,
  type Joined,
  request,
} from './support/joining.js';
import { refusal, report, type Wire } from './support/wire.js';
import { type AppCredentials, type MintedDevice, World } from './support/world.js';

const times = { tellingMs: 5_000, betweenBatchesMs: 10, batchSize: 10, latecomersMs: 200 };

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

  it.each([
    ['', false],
    [', joined with it by a bridge before and after', true],
  ])('goes to the cloud and back with everything that it has%s', async (_how, bridge) => {
    const [lamp, plug] = await setUp({ bridge });
    if (lamp === undefined || plug === undefined) throw new Error('no devices');
    const before = await contents(pair, pair.gateway);
    // An app of the home that was made in the cloud, and reaches it through the bridge.
    const away = bridge ? await pair.cloud.app(app.homeId, app.gatewayId) : undefined;
    const reaches = async (device: Wire, value: string): Promise<void> => {
      if (away === undefined) return;
      const remote = await pair.cloud.connectApp(away);
      await bridged(pair);
      await remote.publish(lamp.joined.topics[0] ?? '', command('set', value));
      await device.hear(({ json }) => json.value === value);
    };
    await reaches(lamp.joined.wire, 'through the bridge');

    await pair.move('remote');
    await pair.until(({ state }) => state === 'telling' || state === 'moved');
    const told = await lamp.joined.wire.hear(report('mqtt_credentials'));
    expect(told.json.value).toStrictEqual({
      broker_ip: 'localhost',
      broker_port: pair.cloud.platform.file.ports.home,
    });
    const atCloud = await arrive(pair.cloud, lamp);
    expect(await pair.ended()).toMatchObject({ state: 'moved', to: 'remote', devices: 2 });
    expect(atCloud.topics).toStrictEqual(lamp.joined.topics);
    // The Discovery server tells only those that have not come.
    expect(await relocated(pair)).toStrictEqual([plug.minted.deviceId]);

    // The other one was off all the while; the old broker tells it, and nothing else.
    const late = await pair.gateway.connectHome({ ...plug.joined.data, deviceId: plug.minted.deviceId });
    await late.subscribe(`${plug.minted.deviceId}/topics`);
    await late.publish(`${plug.minted.deviceId}/topics`, getDeviceTopics());
    expect((await late.hear(report('mqtt_credentials'))).json.value).toMatchObject({
      broker_port: pair.cloud.platform.file.ports.home,
    });
    expect(await late.subscribe(plug.joined.topics[0] ?? '')).toBe(false);
    await arrive(pair.cloud, plug);
    await waitFor(
      async () => (await relocated(pair)).length === 0,
      'the Discovery server to tell nobody any more',
      10_000,
    );

    const controller = await pair.cloud.connectApp(app);
    await controller.subscribe(`${app.homeId}/#`);
    await controller.publish(lamp.joined.topics[0] ?? '', command('set', 'on'));
    await atCloud.wire.hear(({ json }) => json.command_type === 'set');

    await pair.move('local');
    const back = await atCloud.wire.hear(report('mqtt_credentials'));
    expect(back.json.value).toMatchObject({ broker_port: pair.gateway.platform.file.ports.home });
    const home = await arrive(pair.gateway, lamp);
    await arrive(pair.gateway, plug);
    expect(await pair.ended()).toMatchObject({ state: 'moved', to: 'local' });
    const after = await contents(pair, pair.gateway);
    expect({ ...after, controllers: after['controllers']?.filter(isNot(away)) }).toStrictEqual(before);
    await reaches(home.wire, 'through the bridge again');
  });

  it('ends moved or where it was, wherever the gateway is killed', async () => {
    const dying = { at: '', isDead: false };
    const onMoved = (state: string): void => {
      if (state === dying.at) dying.isDead = true;
      if (dying.isDead) throw new Error(`killed when ${state}`);
    };
    const [lamp] = await setUp({ onMoved }, 1);
    if (lamp === undefined) throw new Error('no device');
    const before = await contents(pair, pair.gateway);
    const states = ['requested', 'freezing', 'copying', 'admitting', 'handing-over', 'telling', 'moved'];
    for (const [round, state] of states.entries()) {
      const to = round % 2 === 0 ? 'remote' : 'local';
      const target = to === 'remote' ? pair.cloud : pair.gateway;
      Object.assign(dying, { at: state });
      await pair.move(to).catch(() => undefined);
      await waitFor(() => dying.isDead, `the death when ${state}`);
      await pair.gateway.halt();
      Object.assign(dying, { at: '', isDead: false });
      await pair.gateway.resume();
      await pair.until((move) => move.state === 'telling' || move.state === 'moved');
      const arrived = await arrive(target, lamp);
      expect(await pair.ended(), state).toMatchObject({ state: 'moved', to });
      expect(arrived.topics).toStrictEqual(lamp.joined.topics);
      expect(await standings(pair), state).toStrictEqual(to === 'remote' ? ['moved', 'here'] : ['here', 'moved']);
      expect((await contents(pair, target)).onboardings).toStrictEqual(before.onboardings);
    }
  }, 120_000);

  it('stays where it was when the other side dies before it has all of it', async () => {
    let dying = '';
    const onMoved = async (state: string): Promise<void> => {
      if (state === dying) await pair.cloud.halt();
    };
    const [lamp] = await setUp({ onMoved, moverTimes: { ...times, deadlineMs: 4_000 } }, 1);
    if (lamp === undefined) throw new Error('no device');
    const there = await contents(pair, pair.cloud);
    for (const state of ['freezing', 'copying', 'admitting']) {
      dying = state;
      await pair.move('remote');
      await pair.until((move) => move.state === 'rolling-back' || move.state === 'rolled-back');
      // People and devices go on at once; what is left over there waits until it can be thrown away.
      await waitFor(async () => (await standingAt(pair.gateway, pair.homeId)) === 'here', 'the old side');
      const app2 = await pair.gateway.app(app.homeId, app.gatewayId);
      const controller = await pair.gateway.connectApp(app2);
      await controller.publish(lamp.joined.topics[0] ?? '', command('set', state));
      await lamp.joined.wire.hear(({ json }) => json.command_type === 'set' && json.value === state);
      dying = '';
      await pair.cloud.resume();
      expect(await pair.ended()).toMatchObject({
        state: 'rolled-back',
        reason: expect.stringMatching(/timeout|unavailable/),
      });
      expect(await standings(pair), state).toStrictEqual(['here', 'here']);
      expect(await contents(pair, pair.cloud), state).toStrictEqual(there);
    }
    await pair.move('remote');
    await pair.until(({ state }) => state === 'telling' || state === 'moved');
    await arrive(pair.cloud, lamp);
    expect(await pair.ended()).toMatchObject({ state: 'moved' });
  }, 120_000);

  it('is not served by its old broker any more, and takes no changes on the way', async () => {
    let tried: Promise<unknown>[] = [];
    const onMoved = async (state: string): Promise<void> => {
      if (state !== 'copying') return;
      const { homeId, gatewayId } = app;
      tried = [pair.gateway.operator.call(topicGenerator.createController, { homeId, gatewayId }, { retries: 0 })];
      await Promise.allSettled(tried);
    };
    const [lamp] = await setUp({ onMoved }, 1);
    if (lamp === undefined) throw new Error('no device');
    const controller = await pair.gateway.connectApp(app);
    await controller.subscribe(addDeviceTopic(app));
    const topic = lamp.joined.topics[0] ?? '';
    await pair.move('remote');
    await pair.until(({ state }) => state === 'telling' || state === 'moved');
    await expect(tried[0]).rejects.toMatchObject({ code: 'home_is_moving' });
    await controller.hear(report('mqtt_credentials'));
    await arrive(pair.cloud, lamp);
    await pair.ended();

    const { gateway, homeId } = pair;
    const late = await gateway.connectHome({ ...lamp.joined.data, deviceId: lamp.minted.deviceId });
    expect(await late.subscribe(topic)).toBe(false);
    const app2 = await gateway.connectApp(app);
    expect(await app2.subscribe(topic)).toBe(false);
    expect(await app2.subscribe(`${homeId}/#`)).toBe(false);
    expect(await app2.subscribe(addDeviceTopic(app))).toBe(true);
    await app2.publish(addDeviceTopic(app), activateDevice({ code: 'code-1', deviceId: 'another' }));
    await app2.hear(refusal('activate_device', 'home_has_moved'));
    await app2.hear(report('mqtt_credentials'));
    await expect(
      gateway.operator.call(topicGenerator.createController, { homeId, gatewayId: 'gw' }, { retries: 0 }),
    ).rejects.toMatchObject({ code: 'home_has_moved' });
    // What is said there all the same reaches nobody.
    const there = await pair.cloud.connectApp(app);
    await there.subscribe(topic);
    await app2.publish(topic, command('set', 'from the old broker')).catch(() => undefined);
    await there.publish(topic, command('set', 'from the new broker'));
    await there.hear(({ json }) => json.value === 'from the new broker');
    expect(there.heard.map(({ json }) => json.value)).not.toContain('from the old broker');
  });

  it('does not leave while a device is being added, nor for anybody who may not move it', async () => {
    await setUp({}, 1);
    const { gateway, cloud, homeId } = pair;
    const there = await contents(pair, cloud);
    const controller = await gateway.connectApp(app);
    await request(controller, app, await gateway.mint());
    await pair.move('remote');
    expect(await pair.ended()).toMatchObject({ state: 'rolled-back', reason: 'another_device_is_being_added' });
    expect(await standings(pair)).toStrictEqual(['here', 'here']);
    expect(await contents(pair, cloud)).toStrictEqual(there);

    const once = { retries: 0 };
    await expect(gateway.operator.call(moving.moveHome, { homeId: 'other', to: 'remote' }, once)).rejects.toMatchObject(
      {
        code: 'unknown_home',
      },
    );
    await expect(gateway.operator.call(moving.moveHome, { to: 'local' }, once)).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(cloud.operator.call(moving.moveHome, { homeId, to: 'remote' }, once)).rejects.toMatchObject({
      code: 'not_enrolled',
    });
    const { cert, key, ca } = await pair.identity();
    const body = { homeId: 'other', moveId: '00000000-0000-4000-8000-000000000001', step: 'freeze' };
    const ask = async (identity: { cert?: string; key?: string }, asked: object = body) => {
      const pool = new Pool(pair.cloudUrl, { connect: { ca, ...identity } });
      try {
        const { statusCode, body: answer } = await pool.request({
          method: 'POST',
          path: '/v1/home-step',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(asked),
        });
        return { statusCode, ...((await answer.json()) as { code?: string }) };
      } finally {
        await pool.destroy();
      }
    };
    expect(await ask({ cert, key })).toMatchObject({ statusCode: 403, code: 'forbidden' });
    expect(await ask({}, { ...body, homeId })).toMatchObject({ statusCode: 403, code: 'forbidden' });
    expect(await ask({ cert, key }, { ...body, homeId, step: 'take' })).toMatchObject({ code: 'conflict' });
    expect(await ask({ cert, key }, { ...body, homeId, step: 'steal' })).toMatchObject({ code: 'malformed_message' });
  });

  it('loses nothing that is said while it moves', async () => {
    const [lamp] = await setUp({}, 1);
    if (lamp === undefined) throw new Error('no device');
    const topic = lamp.joined.topics[0] ?? '';
    const old = lamp.joined.wire;
    await pair.move('remote');
    await old.hear(report('mqtt_credentials'));
    // The app has followed and the device has not: what they say meets on the way.
    const there = await pair.cloud.connectApp(app);
    await there.subscribe(topic);
    await there.publish(topic, command('set', 'early'));
    await old.publish(topic, {
      type: 'report',
      timestamp: 1,
      report_type: 'status',
      report_name: 'set',
      value: 'late',
    });
    await there.hear(({ json }) => json.type === 'report' && json.value === 'late');
    await old.close();
    const arrived = await arrive(pair.cloud, lamp);
    await arrived.wire.hear(({ json }) => json.type === 'command' && json.value === 'early');
    expect(await pair.ended()).toMatchObject({ state: 'moved' });
  });

  it('loses no command to a device that speaks on its topics before it has subscribed to them', async () => {
    const [lamp] = await setUp({}, 1);
    if (lamp === undefined) throw new Error('no device');
    const { minted, joined } = lamp;
    const topic = joined.topics[0] ?? '';
    const own = `${minted.deviceId}/topics`;
    await pair.move('remote');
    await joined.wire.hear(report('mqtt_credentials'));
    await joined.wire.close();
    const there = await pair.cloud.connectApp(app);
    await there.subscribe(topic);
    await there.publish(topic, command('set', 1));

    const device = await pair.cloud.connectHome({ ...joined.data, deviceId: minted.deviceId });
    await device.subscribe(own);
    await device.publish(own, getDeviceTopics());
    await device.hear(report('topics'));
    for (let value = 0; value < 20; value += 1) {
      await device.publish(topic, { type: 'report', timestamp: 1, report_type: 'status', report_name: 'set', value });
      await there.hear(({ json }) => json.type === 'report' && json.value === value);
    }
    await there.publish(topic, command('set', 2));
    await device.subscribe(topic);
    // Its broker has told of the subscription: what was kept comes at once, and none of it twice.
    await device.hear(({ json }) => json.type === 'command' && json.value === 2);
    await there.publish(topic, command('set', 3));
    await device.hear(({ json }) => json.type === 'command' && json.value === 3);
    const heard = device.heard.filter(({ json }) => json.type === 'command' && json.command_type === 'set');
    expect(heard.map(({ json }) => json.value)).toStrictEqual([1, 2, 3]);
    expect(await pair.ended()).toMatchObject({ state: 'moved' });
  });

  it('is found by a device that was off, over the Discovery server, when its gateway is gone', async () => {
    const [lamp] = await setUp({}, 1);
    if (lamp === undefined) throw new Error('no device');
    await lamp.joined.wire.close();
    await pair.move('remote');
    expect(await pair.ended()).toMatchObject({ state: 'moved', awaited: 1 });
    await pair.gateway.halt();
    const found = await fetchBrokerData(pair.cloud, lamp.minted);
    expect(found).toMatchObject({ brokerPort: pair.cloud.platform.file.ports.home, key: lamp.minted.key });
    expect(found.cert).toBe(lamp.joined.data.cert);
    const stranger = await pair.cloud.mint();
    const wire = await pair.cloud.connectToActivation(stranger);
    expect(await wire.subscribe(`${lamp.minted.code}/activation`)).toBe(false);
    await arrive(pair.cloud, lamp);
    // Its gateway was away when it came, and learns of it later.
    expect(await relocated(pair)).toStrictEqual([lamp.minted.deviceId]);
    await pair.gateway.resume();
    await waitFor(
      async () => (await relocated(pair)).length === 0,
      'the Discovery server to tell nobody any more',
      10_000,
    );
    const again = await pair.cloud.connectToActivation(lamp.minted);
    expect(await again.subscribe(`${lamp.minted.code}/activation`)).toBe(false);
  });
});

/** How the home stands at its gateway and in the cloud; that has placed it when it invited its gateway, without devices. */
async function standings({ gateway, cloud, homeId }: GatewayPair): Promise<(string | undefined)[]> {
  return [await standingAt(gateway, homeId), await standingAt(cloud, homeId)];
}

const isNot =
  (app: AppCredentials | undefined) =>
  (row: unknown): boolean =>
    (row as { username: string }).username !== app?.username;

/** Resolves when the gateway's broker is joined with the cloud's. */
async function bridged({ gateway }: GatewayPair): Promise<void> {
  await waitFor(
    async () => {
      const answer = await gateway.operator.call(federation.getLinkStatus, {});
      return answer.bridge?.connected === true;
    },
    'the bridge',
    20_000,
  );
}

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

/** The devices that the Discovery server would tell where their home is. */
async function relocated({ cloud, homeId }: GatewayPair): Promise<string[]> {
  return inDatabase(cloud, async (client) => {
    const query = 'SELECT device_id FROM discovery.relocation WHERE home_id = $1 ORDER BY 1';
    return (await client.query<{ device_id: string }>(query, [homeId])).rows.map(({ device_id }) => device_id);
  });
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
