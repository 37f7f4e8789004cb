import { moving, topicGenerator } from '@mqtt2go/messaging';
import { Authority, generateKeys, type KeyPair } from '@mqtt2go/pki';
import { FakeBrokerAdmin } from '@mqtt2go/ports';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TopicGeneratorStand } from '../testing/topic-generator-stand.js';

const nowMs = Date.now();
const root = Authority.createRoot({
  commonName: 'Root',
  keys: await generateKeys(),
  nowMs,
  validityMs: 86_400_000,
  pathLength: 1,
});
const authorityOf = (homeId: string, { publicKey }: KeyPair): string =>
  root.issueGatewayAuthority({ commonName: 'Gateway CA', homeId, use: 'devices', publicKey, nowMs }).pem;
const once = { retries: 0 };

describe('home brokers that are told which gateways to trust', () => {
  const admins = [new FakeBrokerAdmin(), new FakeBrokerAdmin(), new FakeBrokerAdmin()] as const;
  const [first, second, plain] = admins;
  let stand: TopicGeneratorStand;
  let count = 0;
  let home: string;

  beforeAll(async () => {
    stand = await TopicGeneratorStand.create();
    await stand.service.stop();
    await stand.start({
      homeBrokers: admins.map((admin, index) => ({
        name: `home-${index}`,
        admin,
        trustsGateways: admin !== plain,
        keepsTrust: admin !== plain,
        controllerUrl: `mqtts://home-${index}.example:8889`,
      })),
    });
  });
  afterAll(() => stand.close());
  beforeEach(() => {
    home = `house-${(count += 1)}`;
  });

  const trust = (homeId: string, authority: string): Promise<unknown> =>
    stand.bus.call(topicGenerator.trustGateway, { homeId, gatewayId: 'gw', authority }, once);
  const place = (homeId: string): Promise<unknown> =>
    stand.bus.call(topicGenerator.placeHome, { homeId, gatewayId: 'gw' }, once);
  const brokerOf = async (homeId: string): Promise<FakeBrokerAdmin> => {
    const { broker } = await stand.bus.call(moving.getHomeStanding, { homeId });
    return admins[Number(broker?.at(-1))] ?? plain;
  };
  const moveId = (): string => `10000000-0000-4000-8000-${String(count).padStart(12, '0')}`;
  const step = (homeId: string, name: 'receive' | 'prepare' | 'discard'): Promise<unknown> =>
    stand.bus.call(moving.moveHomeAccess, { homeId, moveId: moveId(), step: name }, once);
  /** As far as to where the broker lets the home's devices in. */
  const arrive = async (homeId: string): Promise<FakeBrokerAdmin> => {
    await step(homeId, 'receive');
    const structure = { gatewayIds: ['gw'], groupIds: [] };
    await stand.bus.call(moving.importHomeStructure, { homeId, moveId: moveId(), structure }, once);
    const device = {
      deviceId: `lamp-${homeId}`,
      gatewayId: 'gw',
      deviceType: 'lamp',
      namedOnboardingId: '20000000-0000-4000-8000-000000000001',
      groupIds: [],
      certificates: [],
    };
    const page = { homeId, moveId: moveId(), after: '', records: [device] };
    await stand.bus.call(moving.importHomeDevices, page, once);
    await step(homeId, 'prepare');
    return brokerOf(homeId);
  };

  it('trust those of the homes whose devices are on them, and of no others, from before the devices come', async () => {
    const other = `other-${home}`;
    const [mine, theirs] = [authorityOf(home, await generateKeys()), authorityOf(other, await generateKeys())];
    await place(home);
    await place(other);
    await trust(home, mine);
    await trust(other, theirs);
    // Bridged homes' devices have no business there.
    expect(admins.flatMap(({ trustAnchors }) => trustAnchors)).toEqual([]);
    const shard = await arrive(home);
    expect([first, second]).toContain(shard);
    expect(shard.trustAnchors).toEqual([mine]);
    const another = await arrive(other);
    expect(another).not.toBe(shard);
    expect([shard.trustAnchors, another.trustAnchors]).toEqual([[mine], [theirs]]);
    expect(plain.trustAnchors).toEqual([]);
    await stand.bus.call(topicGenerator.closeBridge, { homeId: home, gatewayId: 'gw' }, once);
    await stand.bus.call(topicGenerator.closeBridge, { homeId: other, gatewayId: 'gw' }, once);
  });

  it('trust a renewed one in the place of the one before, and another box beside the first', async () => {
    const [box, newBox] = [await generateKeys(), await generateKeys()];
    await trust(home, authorityOf(home, box));
    const shard = await arrive(home);
    const renewed = authorityOf(home, box);
    await trust(home, renewed);
    expect(shard.trustAnchors).toEqual([renewed]);
    const replacing = authorityOf(home, newBox);
    await trust(home, replacing);
    expect(shard.trustAnchors.toSorted()).toEqual([renewed, replacing].toSorted());
    await stand.bus.call(topicGenerator.closeBridge, { homeId: home, gatewayId: 'gw' }, once);
    expect(shard.trustAnchors).toEqual([]);
  });

  it('trust none of a home whose move was undone', async () => {
    await trust(home, authorityOf(home, await generateKeys()));
    const shard = await arrive(home);
    expect(shard.trustAnchors).toHaveLength(1);
    await step(home, 'discard');
    expect(shard.trustAnchors).toEqual([]);
  });

  it('are told again by a service that starts anew', async () => {
    const authority = authorityOf(home, await generateKeys());
    await trust(home, authority);
    const shard = await arrive(home);
    shard.trustAnchors = [];
    await trust(`other-${home}`, authorityOf(`other-${home}`, await generateKeys()));
    await waitFor(() => shard.trustAnchors.length === 1, 'the trust');
    expect(shard.trustAnchors).toEqual([authority]);
  });

  it.each([
    ['another home’s CA', async () => authorityOf('other-home', await generateKeys())],
    ['a CA that is confined to no home', async () => root.certificate],
    [
      'more than one certificate',
      async () => authorityOf(home, await generateKeys()) + authorityOf(home, await generateKeys()),
    ],
    ['what is no certificate', async () => 'a CA'],
  ])('are not told of %s', async (_what, authority) => {
    await expect(trust(home, await authority())).rejects.toMatchObject({ code: 'malformed_message' });
  });
});
