import { once } from 'node:events';
import { connect } from 'node:net';
import { discovery, moving, provisioning } from '@mqtt2go/messaging';
import { askRest, type RestAnswer, type TestIdentity, waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FederationStand, type Node } from './support/federation-stand.js';
import { getDeviceTopics, join, type Joined, request } from './support/joining.js';
import { report, type Wire } from './support/wire.js';
import type { AppCredentials } from './support/world.js';

const home = { homeId: 'home-1', gatewayId: 'gw' };
const deviceId = 'lamp-1';
const remote = { to: 'remote' };
const local = { to: 'local' };

/** What the tests wait for. */
interface Move {
  readonly move_id: string;
  readonly to: string;
  readonly state: string;
  readonly progress: { readonly awaited: number };
}

describe('a home is moved by REST on its gateway', () => {
  let stand: FederationStand;
  let gateway: Node;
  let app: AppCredentials;
  let controller: Wire;
  let joined: Joined;
  let ca: string;
  let operator: TestIdentity;

  beforeAll(async () => {
    stand = await FederationStand.create();
    gateway = await stand.gateway(await stand.invite(home.homeId, home.gatewayId), {
      MQTT2GO_BIND: '0.0.0.0',
      MQTT2GO_MDNS: 'off',
      MQTT2GO_BRIDGE: 'off',
    });
    await gateway.start();
    ca = await gateway.read('ca.crt');
    operator = await serviceOf(gateway, 'operator');
    app = await gateway.app(home.homeId, home.gatewayId);
    controller = await gateway.connectApp(app);
    const bus = await gateway.busAs('federation');
    await waitFor(
      async () => (await bus.call(discovery.listManufacturers, {})).manufacturers.length > 0,
      'the manufacturers of the cloud',
    );
    await bus.close();
    joined = await join(gateway, app, controller, await stand.mint(gateway, deviceId));
  });
  afterAll(() => stand.close());

  const serviceOf = async (node: Node, name: string): Promise<TestIdentity> => ({
    cert: await node.read('services', `${name}.crt`),
    key: await node.read('services', `${name}.key`),
  });

  const caller = (identity?: TestIdentity) => ({ port: gateway.file.ports.management ?? 0, ca, identity });
  const pathOf = (homeId: string): string => `/homes/${homeId}/move`;
  const post = (body: unknown, homeId = home.homeId, identity: TestIdentity | undefined = operator) =>
    askRest(caller(identity), { path: pathOf(homeId), body });
  const get = (homeId = home.homeId, identity: TestIdentity | undefined = operator): Promise<RestAnswer> =>
    askRest(caller(identity), { method: 'GET', path: pathOf(homeId) });

  const refusal = (status: number, code: string) => ({ status, json: expect.objectContaining({ status, code }) });

  const until = async (wanted: (move: Move) => boolean, name: string): Promise<Move> => {
    let latest: RestAnswer | undefined;
    try {
      return await waitFor(
        async () => {
          latest = await get();
          const move = latest.json as Move;
          return latest.status === 200 && wanted(move) ? move : undefined;
        },
        name,
        60_000,
      );
    } catch (error) {
      throw new Error(`the move did not get there: ${latest?.text}`, { cause: error });
    }
  };

  /** The device comes with the certificate that it has. */
  const arrive = async (node: Node): Promise<void> => {
    const wire = await node.connectHome({ ...joined.data, deviceId });
    await wire.subscribe(`${deviceId}/topics`);
    await wire.publish(`${deviceId}/topics`, getDeviceTopics());
    expect((await wire.hear(report('topics'))).json.value).toEqual(joined.topics);
  };

  it('by nobody but the operator of this gateway', async () => {
    const strangers: readonly (TestIdentity | undefined)[] = [
      undefined,
      joined.data,
      { cert: await gateway.read('gateway.crt'), key: await gateway.read('gateway.key') },
      { cert: await gateway.read('federation.crt'), key: await gateway.read('federation.key') },
      await serviceOf(stand.cloud, 'operator'),
    ];
    for (const identity of strangers) {
      for (const body of [remote, undefined]) {
        const method = body === undefined ? 'GET' : 'POST';
        const asked = askRest(caller(identity), { method, path: pathOf(home.homeId), body });
        await expect(asked).rejects.toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
      }
    }
    for (const name of ['federation', 'topic-generator', 'provisioning']) {
      const identity = await serviceOf(gateway, name);
      expect(await post(remote, home.homeId, identity)).toMatchObject(refusal(403, 'forbidden'));
      expect(await get(home.homeId, identity)).toMatchObject(refusal(403, 'forbidden'));
    }
    expect(await get()).toMatchObject(refusal(404, 'unknown_move'));
  });

  it('not one that is unknown, not without a direction, and not to where it is', async () => {
    expect(await post(remote, 'home-2')).toMatchObject(refusal(404, 'unknown_home'));
    expect(await get('home-2')).toMatchObject(refusal(404, 'unknown_home'));
    expect(await post({ to: 'nowhere' })).toMatchObject(refusal(400, 'malformed_message'));
    expect(await post('{"to":')).toMatchObject(refusal(400, 'malformed_message'));
    expect(await post(local)).toMatchObject(refusal(409, 'conflict'));
    expect(await get()).toMatchObject(refusal(404, 'unknown_move'));
  });

  it('is told why it has stayed', async () => {
    const bulb = await stand.mint(gateway, 'bulb-1');
    await request(controller, app, bulb);
    expect(await post(remote)).toMatchObject({ status: 202 });
    expect(await until(({ state }) => state === 'rolled-back', 'the end of the move')).toMatchObject({
      error: { code: 'another_device_is_being_added', detail: expect.any(String) },
    });
    const operator = await gateway.operator();
    await operator.call(provisioning.cancelOnboarding, { deviceId: bulb.deviceId });
    await waitFor(
      async () => (await operator.call(moving.getHomeStanding, { homeId: home.homeId })).devices === 1,
      'the device to be taken back',
    );
  });

  it('there and back, once for each request, while its device follows', async () => {
    const begun = await post(remote);
    expect(begun).toMatchObject({
      status: 202,
      json: {
        move_id: expect.any(String),
        home_id: home.homeId,
        to: 'remote',
        progress: { devices: 1, copied: 0, awaited: 0 },
        requested_at: expect.any(String),
        deadline: expect.any(String),
        changed_at: expect.any(String),
      },
    });
    const { move_id: moveId } = begun.json as Move;
    // Its device has not followed: the move goes on.
    await until(({ state, progress }) => state === 'telling' && progress.awaited === 1, 'the device to be awaited');
    expect(await post(remote)).toMatchObject({ status: 202, json: { move_id: moveId, state: 'telling' } });
    expect(await post(local)).toMatchObject(refusal(409, 'home_is_moving'));
    await joined.wire.hear(report('mqtt_credentials'));
    await arrive(stand.cloud);
    const moved = await until(({ state }) => state === 'moved', 'the home to be in the cloud');
    expect(moved).toMatchObject({
      move_id: moveId,
      progress: { devices: 1, awaited: 0 },
      broker: { port: stand.cloud.file.ports.home },
    });
    expect(moved).not.toHaveProperty('error');
    expect(await post(remote)).toMatchObject(refusal(409, 'conflict'));

    const back = await post(local);
    expect(back).toMatchObject({ status: 202, json: { to: 'local' } });
    expect((back.json as Move).move_id).not.toBe(moveId);
    await until(
      ({ state, progress }) => state === 'telling' && progress.awaited === 1,
      'the device to be awaited again',
    );
    await arrive(gateway);
    await until(({ to, state }) => to === 'local' && state === 'moved', 'the home to be at its gateway');
  });

  it('by the operator, as the audit log has it', async () => {
    const client = new pg.Client(gateway.database.url);
    await client.connect();
    const { rows } = await client.query(
      `SELECT DISTINCT actor_kind, actor_id FROM federation.audit_entry
       WHERE action = 'home.move' AND details ->> 'state' = 'requested'`,
    );
    await client.end();
    expect(rows).toEqual([{ actor_kind: 'operator', actor_id: 'operator' }]);
  });

  it('from this machine only, though devices come from everywhere', async () => {
    const { home: devices, management = 0 } = gateway.file.ports;
    const reach = async (port: number): Promise<void> => {
      const socket = connect(port, '127.0.0.2');
      await once(socket, 'connect');
      socket.destroy();
    };
    await expect(reach(devices)).resolves.toBeUndefined();
    await expect(reach(management)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('by REST in no cloud', () => {
    expect(stand.cloud.file.ports.management).toBeUndefined();
  });
});
