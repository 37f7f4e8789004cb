import { Controller } from '@mqtt2go/controller-sdk';
import { BrokerFinder, Device, type MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { discovery, moving, type MoveView } from '@mqtt2go/messaging';
import { waitFor, within } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noDiscovery, storeOf } from './support/device-store.js';
import { FederationStand, type Node, writeInvitation } from './support/federation-stand.js';
import { freePorts } from './support/gateway-process.js';
import { HouseProcess } from './support/house-process.js';
import type { AppCredentials } from './support/world.js';

describe('kill -9 of the gateway of a home that moves', () => {
  const home = { homeId: 'home-1', gatewayId: 'gw' };
  /** A move that is not decided by then is undone. */
  const deadlineMs = 12_000;
  let stand: FederationStand;
  let node: Node;
  let house: HouseProcess;
  let app: AppCredentials;
  let store: MemoryDeviceStore;
  let device: Device;
  let lives: Promise<unknown>;
  const obeyed: unknown[] = [];
  const moved: string[] = [];

  const start = async (stopAt?: string): Promise<void> => {
    await node.stop();
    await house.kill();
    node.attach(await house.start(stopAt));
  };
  const newest = async (): Promise<MoveView | undefined> =>
    (await (await node.operator()).call(moving.getHomeMove, {})).move;
  const until = (state: string, name: string): Promise<unknown> =>
    waitFor(async () => (await newest())?.state === state, name, 60_000);
  const standingAt = async (at: Node): Promise<string | undefined> =>
    (await (await at.operator()).call(moving.getHomeStanding, { homeId: home.homeId })).standing;

  const dieInMove = async (to: 'remote' | 'local', state: string): Promise<void> => {
    await start(state);
    const asked = (await node.operator()).call(moving.moveHome, { to });
    asked.catch(() => undefined);
    expect(await within(house.ended(), `the death when ${state}`)).toBe('SIGKILL');
  };
  const command = async (at: Node, value: string): Promise<void> => {
    const person = await at.connectApp(app);
    const { topics } = await store.state();
    const timestamp = Math.floor(Date.now() / 1_000);
    await person.publish(topics[0] ?? '', { type: 'command', timestamp, command_type: 'set', value });
    await waitFor(() => obeyed.includes(value), `the device to obey: ${value}`, 30_000);
  };

  beforeEach(async () => {
    obeyed.length = 0;
    moved.length = 0;
    stand = await FederationStand.create();
    node = await stand.gateway(undefined);
    house = await HouseProcess.build({
      ...(await freePorts()),
      MQTT2GO_DATA_DIR: node.dataDir,
      DATABASE_URL: node.database.url,
      MQTT2GO_INVITATION: await writeInvitation(await stand.invite(home.homeId, home.gatewayId)),
      MQTT2GO_MDNS: 'off',
      DEADLINE_MS: String(deadlineMs),
    });
    await start();
    const asService = await node.busAs('federation');
    await waitFor(
      async () => (await asService.call(discovery.listManufacturers, {})).manufacturers.length > 0,
      'the manufacturers of the cloud',
    );
    await asService.close();
    app = await node.app(home.homeId, home.gatewayId);
    const port = node.file.ports.home;
    const made = await stand.mint(node, 'lamp');
    const { deviceId, code: activationCode } = made;
    const ca = await node.read('ca.crt');
    store = storeOf(made, ca, noDiscovery);
    device = new Device(store, {
      finder: new BrokerFinder(async () => ({ host: 'localhost', port })),
      times: { backOff: { minMs: 100, maxMs: 1_000 }, answerTimeoutMs: 2_000, askAgainMs: 2_000 },
    });
    device.on('command', ({ value }) => obeyed.push(value));
    device.on('notice', ({ kind, what }) => {
      if (kind === 'moved') moved.push(what);
    });
    const isActive = new Promise((resolve) => device.once('active', resolve));
    lives = device.run();
    const controller = new Controller({ ...app, ca, repeatMs: 2_000 });
    await controller.connect();
    await controller.addDevice({ deviceId, activationCode, naming: { name: 'Lamp', groupIds: ['living'] } });
    await isActive;
    await controller.close();
  });
  afterEach(async () => {
    await device.stop();
    await lives.catch(() => undefined);
    await node.stop();
    await house.close();
    await stand.close();
  });

  it('ends with the home on one side, and the device there, with the topics and the certificate that it had', async () => {
    const { topics } = await store.state();
    const credentials = await store.credentials();
    const rounds = [
      ['remote', 'copying'],
      ['local', 'handing-over'],
      ['remote', 'telling'],
    ] as const;
    for (const [to, state] of rounds) {
      await dieInMove(to, state);
      await start();
      const target = to === 'remote' ? stand.cloud : node;
      await until('moved', `the move that was killed when ${state}`);
      expect([await standingAt(node), await standingAt(stand.cloud)], state).toStrictEqual(
        to === 'remote' ? ['moved', 'here'] : ['here', 'moved'],
      );
      await command(target, state);
      const kept = await store.state();
      expect(kept.topics).toStrictEqual(topics);
      expect(kept.broker?.port).toBe(target.file.ports.home);
      expect(await store.credentials()).toStrictEqual(credentials);
    }
    expect(moved).toHaveLength(rounds.length);
  }, 240_000);

  it('leaves the home where it was when the cloud is gone, too, and nothing of it there when that is back', async () => {
    const { topics } = await store.state();
    const credentials = await store.credentials();
    for (const state of ['freezing', 'copying', 'admitting']) {
      await dieInMove('remote', state);
      await stand.cloud.stop();
      await start();
      await until('rolling-back', `the end of the time of the move that was killed when ${state}`);
      // The home is as it was at once, changes and all; what is in the cloud waits for that.
      await waitFor(async () => (await standingAt(node)) === 'here', 'the home to be here');
      await command(node, state);
      await node.app(home.homeId, home.gatewayId);
      expect(await newest()).toMatchObject({
        state: 'rolling-back',
        reason: expect.stringMatching(/timeout|unavailable/),
      });
      await stand.cloud.start();
      await until('rolled-back', `the move that was killed when ${state}`);
      const inCloud = await (await stand.cloud.operator()).call(moving.getHomeStanding, { homeId: home.homeId });
      // The cloud has placed the home when its gateway was invited, and has nothing of it.
      expect(inCloud, state).toMatchObject({ standing: 'here', devices: 0 });
      expect(await standingAt(node), state).toBe('here');
      expect(await store.credentials()).toStrictEqual(credentials);
      expect((await store.state()).topics).toStrictEqual(topics);
    }
    expect(moved).toStrictEqual([]);
    await (await node.operator()).call(moving.moveHome, { to: 'remote' });
    await until('moved', 'a move that nobody kills');
    await command(stand.cloud, 'in the cloud after all');
  }, 240_000);
});
