import { type Bus, moving, topicGenerator } from '@mqtt2go/messaging';
import { openDataSource } from '@mqtt2go/persistence';
import { FakeBrokerAdmin } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { silentLogger, waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HomeBroker } from './access/home-brokers.js';
import { TopicGeneratorStand } from './testing/topic-generator-stand.js';

/** As real ones are: one that is away says so before it is asked for anything. */
class HonestBrokerAdmin extends FakeBrokerAdmin {
  override checkHealth(): void {
    if (this.isAway) throw new Mqtt2goError('unavailable', 'away');
  }
}

const [first, second] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'] as const;

describe('homes on several brokers', () => {
  const admins = { 'home-0': new HonestBrokerAdmin(), 'home-1': new HonestBrokerAdmin() };
  type Name = keyof typeof admins;
  const brokers: HomeBroker[] = (['home-0', 'home-1'] as const).map((name) => ({
    name,
    admin: admins[name],
    trustsGateways: name === 'home-1',
    controllerUrl: `mqtts://${name}.example:8889`,
    controllerWebSocketUrl: `wss://${name}.example:8884`,
  }));
  let stand: TopicGeneratorStand;
  let bus: Bus;
  let count = 0;

  beforeAll(async () => {
    stand = await TopicGeneratorStand.create();
    ({ bus } = stand);
    await stand.service.stop();
    await stand.start({ homeBrokers: brokers, hasReplicas: true });
  });
  afterAll(() => stand.close());

  const brokerOf = async (homeId: string): Promise<string | undefined> =>
    (await bus.call(topicGenerator.hasGateway, { homeId, gatewayId: 'gw' })).broker;
  const createHome = async (homeId = `new-home-${(count += 1)}`): Promise<string> => {
    await bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw' }, { retries: 0 });
    return homeId;
  };
  /** A home on the broker. */
  const homeOn = async (name: Name): Promise<string> => {
    const homeIds = [await createHome(), await createHome()];
    const names = await Promise.all(homeIds.map(brokerOf));
    return homeIds[names.indexOf(name)] ?? homeOn(name);
  };
  const knows = (name: Name, deviceId: string): boolean => admins[name].principals.has(`device/${deviceId}`);

  it('leaves homes of before on the first one', async () => {
    expect(await brokerOf('home-1')).toBe('home-0');
    await waitFor(() => admins['home-0'].principals.size === 2, 'the copy');
    expect([...admins['home-1'].principals.keys()]).toEqual([]);
  });

  it('places a new home where the fewest are, and one by one those that come at once', async () => {
    expect(await brokerOf(await createHome())).toBe('home-1');
    const homeIds = await Promise.all(Array.from({ length: 12 }, () => createHome()));
    const names = await Promise.all(homeIds.map(brokerOf));
    expect(names.filter((name) => name === 'home-0')).toHaveLength(6);
    expect(names.filter((name) => name === 'home-1')).toHaveLength(6);
  });

  it('places homes with a gateway of their own on one that trusts gateways, and says so of each', async () => {
    const homeIds = ['with-gateway-1', 'with-gateway-2', 'with-gateway-3'];
    for (const homeId of homeIds)
      await bus.call(topicGenerator.openBridge, { homeId, gatewayId: 'gw' }, { retries: 0 });
    expect(await Promise.all(homeIds.map(brokerOf))).toEqual(['home-1', 'home-1', 'home-1']);
    const arriving = { homeId: 'arriving', moveId: '10000000-0000-4000-8000-000000000001', step: 'receive' } as const;
    await bus.call(moving.moveHomeAccess, arriving, { retries: 0 });
    expect(await bus.call(moving.getHomeStanding, arriving)).toMatchObject({ broker: 'home-1', trustsGateways: true });
    const homeId = await homeOn('home-0');
    expect(await bus.call(moving.getHomeStanding, { homeId })).toMatchObject({ trustsGateways: false });
    expect(await bus.call(moving.getHomeStanding, { homeId: 'nowhere' })).toMatchObject({ trustsGateways: true });
    await bus.call(moving.moveHomeAccess, { ...arriving, step: 'discard' }, { retries: 0 });
  });

  it('leaves a home where it is, whoever is made for it', async () => {
    const homeId = await homeOn('home-1');
    for (let times = 0; times < 3; times += 1) await createHome(homeId);
    expect(await brokerOf(homeId)).toBe('home-1');
  });

  it('tells controllers the doors of their home’s broker, and no other broker of them', async () => {
    const homeId = await homeOn('home-1');
    const made = await bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw' });
    expect(made).toMatchObject({ url: 'mqtts://home-1.example:8889', webSocketUrl: 'wss://home-1.example:8884' });
    expect(admins['home-1'].principals.has(`controller/${made.username}`)).toBe(true);
    expect(admins['home-0'].principals.has(`controller/${made.username}`)).toBe(false);
  });

  it('lets devices in at their home’s broker only, and takes them out there', async () => {
    const homeId = await homeOn('home-1');
    await stand.admit('lamp-1', { homeId });
    expect([knows('home-0', 'lamp-1'), knows('home-1', 'lamp-1')]).toEqual([false, true]);
    await stand.revoke('lamp-1');
    expect(knows('home-1', 'lamp-1')).toBe(false);
  });

  it('takes a device from the broker that it leaves with its home', async () => {
    const [from, to] = [await homeOn('home-0'), await homeOn('home-1')];
    await stand.admit('lamp-2', { homeId: from, serialNumber: 'BB01' });
    await stand.admit('lamp-2', { homeId: to, serialNumber: 'BB02', onboardingId: second });
    expect([knows('home-0', 'lamp-2'), knows('home-1', 'lamp-2')]).toEqual([false, true]);
  });

  it('fills each broker with what is its own after a loss', async () => {
    const homeId = await homeOn('home-1');
    await stand.admit('lamp-3', { homeId });
    const before = [...admins['home-1'].principals.keys()].sort();
    await admins['home-1'].loseCopy();
    expect([...admins['home-1'].principals.keys()].sort()).toEqual(before);
  });

  describe('one of which is down', () => {
    it('goes on with the homes of the others, says so, and places no new ones there', async () => {
      const [here, there] = [await homeOn('home-0'), await homeOn('home-1')];
      admins['home-1'].isAway = true;
      await stand.admit('lamp-4', { homeId: here });
      expect(knows('home-0', 'lamp-4')).toBe(true);
      await expect(stand.admit('lamp-5', { homeId: there })).rejects.toMatchObject({ code: 'unavailable' });
      expect(
        await Promise.all([createHome(), createHome(), createHome()].map(async (id) => brokerOf(await id))),
      ).toEqual(['home-0', 'home-0', 'home-0']);
      expect(await stand.service.health()).toMatchObject({
        status: 'up',
        dependencies: expect.arrayContaining([
          { name: 'home broker home-0', status: 'up' },
          { name: 'home broker home-1', status: 'down', reason: 'away' },
        ]),
      });
      admins['home-0'].isAway = true;
      expect(await stand.service.health()).toMatchObject({ status: 'down' });
      admins['home-0'].isAway = false;
      admins['home-1'].isAway = false;
      await stand.admit('lamp-5', { homeId: there });
      expect(knows('home-1', 'lamp-5')).toBe(true);
    });

    it('tells it later who has left it meanwhile', async () => {
      const [from, to] = [await homeOn('home-1'), await homeOn('home-0')];
      await stand.admit('lamp-6', { homeId: from, serialNumber: 'CC01', onboardingId: first });
      admins['home-1'].isAway = true;
      await stand.admit('lamp-6', { homeId: to, serialNumber: 'CC02', onboardingId: second });
      expect([knows('home-0', 'lamp-6'), knows('home-1', 'lamp-6')]).toEqual([true, true]);
      admins['home-1'].isAway = false;
      await waitFor(() => !knows('home-1', 'lamp-6'), 'its removal');
    });
  });

  it('does not start without a broker that homes are on', async () => {
    await homeOn('home-1');
    await stand.service.stop();
    await expect(stand.start({ homeBrokers: brokers.slice(0, 1) })).rejects.toMatchObject({
      code: 'configuration_invalid',
      message: expect.stringMatching(/home-1 \(\d+ homes\); it has home-0/),
    });
    await stand.start({ homeBrokers: brokers });
  });

  it('takes a home that another version of the service has not placed for one of the first broker', async () => {
    const dataSource = await openDataSource({
      url: stand.database.url,
      schema: 'topic_generator',
      entities: [],
      migrations: [],
      log: silentLogger,
    });
    await dataSource.query("INSERT INTO home (home_id) VALUES ('old')");
    await dataSource.query("INSERT INTO gateway (home_id, gateway_id) VALUES ('old', 'gw')");
    await dataSource.destroy();
    expect(await brokerOf('old')).toBe('home-0');
    await stand.admit('lamp-7', { homeId: 'old' });
    expect([knows('home-0', 'lamp-7'), knows('home-1', 'lamp-7')]).toEqual([true, false]);
  });
});
