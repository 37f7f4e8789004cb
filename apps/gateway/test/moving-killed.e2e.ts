import { Controller } from '@mqtt2go/controller-sdk';
import { BrokerFinder, Device, MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { discovery, moving, type MoveView } from '@mqtt2go/messaging';
import { waitFor, within } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FederationStand, type Node, writeInvitation } from './support/federation-stand.js';
import { freePorts } from './support/gateway-process.js';
import { HouseProcess } from './support/house-process.js';

describe('kill -9 of the gateway of a home that moves', () => {
  const home = { homeId: 'home-1', gatewayId: 'gw' };
  let stand: FederationStand;
  let node: Node;
  let house: HouseProcess;

  beforeAll(async () => {
    stand = await FederationStand.create();
    node = await stand.gateway(undefined);
    house = await HouseProcess.build({
      ...(await freePorts()),
      MQTT2GO_DATA_DIR: node.dataDir,
      DATABASE_URL: node.database.url,
      MQTT2GO_INVITATION: await writeInvitation(await stand.invite(home.homeId, home.gatewayId)),
      MQTT2GO_MDNS: 'off',
    });
  });
  afterAll(async () => {
    await node.stop();
    await house.close();
    await stand.close();
  });

  const start = async (stopAt?: string): Promise<void> => {
    await node.stop();
    await house.kill();
    node.attach(await house.start(stopAt));
  };
  const newest = async (): Promise<MoveView | undefined> =>
    (await (await node.operator()).call(moving.getHomeMove, {})).move;
  const standingAt = async (at: Node): Promise<string | undefined> =>
    (await (await at.operator()).call(moving.getHomeStanding, { homeId: home.homeId })).standing;

  it('ends with the home on one side, and the device there, with the topics and the certificate that it had', async () => {
    await start();
    const asService = await node.busAs('federation');
    await waitFor(
      async () => (await asService.call(discovery.listManufacturers, {})).manufacturers.length > 0,
      'the manufacturers of the cloud',
    );
    await asService.close();
    const app = await node.app(home.homeId, home.gatewayId);
    const made = await stand.mint(node, 'lamp');
    const ca = await node.read('ca.crt');
    const port = node.file.ports.home;
    const { deviceId, code: activationCode, type } = made;
    const file = {
      device_id: deviceId,
      activation_code: activationCode,
      device_type: type,
      discovery: { host: 'localhost', port: 1 },
      key_mode: 'existing-key' as const,
    };
    const store = new MemoryDeviceStore({ file, certificate: made.cert, key: made.key, ca });
    const device = new Device(store, {
      finder: new BrokerFinder(async () => ({ host: 'localhost', port })),
      times: { backOff: { minMs: 100, maxMs: 1_000 }, answerTimeoutMs: 2_000, askAgainMs: 2_000 },
    });
    const obeyed: unknown[] = [];
    device.on('command', ({ value }) => obeyed.push(value));
    const moved: string[] = [];
    device.on('notice', ({ kind, what }) => {
      if (kind === 'moved') moved.push(what);
    });
    const isActive = new Promise((resolve) => device.once('active', resolve));
    const lives = device.run();
    const controller = new Controller({ ...app, ca, repeatMs: 2_000 });
    try {
      await controller.connect();
      await controller.addDevice({ deviceId, activationCode, naming: { name: 'Lamp', groupIds: ['living'] } });
      await isActive;
      await controller.close();
      const { topics } = await store.state();
      const credentials = await store.credentials();

      const rounds = [
        ['remote', 'copying'],
        ['local', 'handing-over'],
        ['remote', 'telling'],
      ] as const;
      for (const [to, state] of rounds) {
        await start(state);
        const asked = (await node.operator()).call(moving.moveHome, { to });
        asked.catch(() => undefined);
        expect(await within(house.ended(), `the death when ${state}`)).toBe('SIGKILL');
        await start();
        const target = to === 'remote' ? stand.cloud : node;
        await waitFor(
          async () => (await newest())?.state === 'moved',
          `the move that was killed when ${state}`,
          60_000,
        );
        expect([await standingAt(node), await standingAt(stand.cloud)], state).toStrictEqual(
          to === 'remote' ? ['moved', 'here'] : ['here', 'moved'],
        );
        const person = await target.connectApp(app);
        await person.publish(topics[0] ?? '', {
          type: 'command',
          timestamp: Math.floor(Date.now() / 1_000),
          command_type: 'set',
          value: state,
        });
        await waitFor(() => obeyed.includes(state), `the device to obey after the death when ${state}`);
        const kept = await store.state();
        expect(kept.topics).toStrictEqual(topics);
        expect(kept.broker?.port).toBe(target.file.ports.home);
        expect(await store.credentials()).toStrictEqual(credentials);
      }
      expect(moved).toHaveLength(rounds.length);
    } finally {
      await controller.close();
      await device.stop();
      await lives.catch(() => undefined);
    }
  }, 240_000);
});
