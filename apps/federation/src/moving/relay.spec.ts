import { Bus, moving } from '@mqtt2go/messaging';
import type { SubscriptionNotices } from '@mqtt2go/ports';
import { Collector, silentLogger, startTestBroker, type TestBroker, waitFor, waitForEvent } from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { KeptHomes } from './kept-homes.js';
import { KeptMessages } from './kept-messages.js';
import { LeaseSettings, Leases } from './leases.js';
import { Relay } from './relay.js';
import { RelaySettings } from './relay-settings.js';
import { FederationDatabase } from '../testing/federation-database.js';

const homeId = 'home-1';
const moveId = '00000000-0000-4000-8000-000000000001';
const noticesTopic = '$SYS/notices';
const notice = z.object({ deviceId: z.string().optional(), filters: z.array(z.string()) });

/** As the test's broker sends them. */
const notices: SubscriptionNotices = {
  filter: noticesTopic,
  read: (topic, payload) =>
    topic === noticesTopic
      ? { deviceId: undefined, ...notice.parse(JSON.parse(Buffer.from(payload).toString())) }
      : undefined,
};

let database: FederationDatabase;
let dataSource: DataSource;
let homeBroker: TestBroker;
let busBroker: TestBroker;
let away: Set<string>;
const relays: Relay[] = [];
const buses: Bus[] = [];
const clients: MqttClient[] = [];

beforeEach(async () => {
  database = await FederationDatabase.create();
  dataSource = await database.open();
  homeBroker = await startTestBroker();
  busBroker = await startTestBroker();
  away = new Set();
});
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.onModuleDestroy()));
  await Promise.all(buses.splice(0).map((bus) => bus.onApplicationShutdown()));
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await Promise.all([homeBroker.close(), busBroker.close()]);
  await database.close();
});

/** The services that are asked, as they answer. */
function neighbours(): Bus {
  const bus = new Bus(busBroker.link('federation'));
  buses.push(bus);
  vi.spyOn(bus, 'call').mockImplementation(async (contract) => {
    if (contract.pattern === moving.listAwaitedDevices.pattern) return { deviceIds: [...away], total: away.size };
    if (contract.pattern !== moving.getHomeStanding.pattern) throw new Error(`nobody asks for ${contract.pattern}`);
    return { standing: 'prepared', broker: 'home-0', trustsGateways: true, gateways: [], devices: 1, controllers: 0 };
  });
  return bus;
}

/** The federation service of one process, as far as it listens. */
function start(holder: string, told: SubscriptionNotices | undefined = notices): Relay {
  const settings = new LeaseSettings(holder, 2_000);
  const relaySettings = new RelaySettings(
    [{ name: 'home-0', link: homeBroker.link('federation'), notices: told }],
    silentLogger,
  );
  const homes = new KeptHomes(dataSource, settings);
  const messages = new KeptMessages(dataSource, relaySettings);
  const relay = new Relay(homes, messages, new Leases(dataSource, settings), neighbours(), relaySettings);
  relays.push(relay);
  relay.onApplicationBootstrap();
  return relay;
}

/** The broker gives notice of devices’ subscriptions and others’. */
function giveNotice(): void {
  homeBroker.aedes.on('subscribe', (subscriptions, client) => {
    const deviceId = /^service:device-(?<id>\w+)-/.exec(client.id)?.groups?.id;
    const payload = JSON.stringify({ deviceId, filters: subscriptions.map(({ topic }) => topic) });
    const packet = { cmd: 'publish', topic: noticesTopic, payload, qos: 1, retain: false, dup: false } as const;
    homeBroker.aedes.publish(packet, () => undefined);
  });
}

async function connect(name: string): Promise<MqttClient> {
  const client = homeBroker.link(name).open('');
  clients.push(client);
  await waitForEvent(client, 'connect');
  return client;
}

const topicOf = (deviceId: string, group = 'living'): string => `${homeId}/gw/${group}/light/${deviceId}`;
const command = (value: unknown): string => JSON.stringify({ type: 'command', value });

function values(client: MqttClient): Collector<unknown> {
  const heard = new Collector<unknown>();
  client.on('message', (_, payload) =>
    heard.add(z.object({ value: z.unknown() }).parse(JSON.parse(payload.toString())).value),
  );
  return heard;
}

const kept = async (): Promise<number> => {
  const [row] = await dataSource.query<{ count: number }[]>('SELECT count(*)::integer FROM federation.kept_message');
  return row?.count ?? 0;
};

describe('commands for a device on its way', () => {
  it('are said once it has subscribed, in their order, each as often as it was said', async () => {
    giveNotice();
    away.add('lamp');
    await start('one').holdCommands(homeId, moveId);
    const app = await connect('app');
    for (const value of ['on', 'off', 'on', 'on']) {
      await app.publishAsync(topicOf('lamp'), command(value), { qos: 1 });
    }
    await waitFor(async () => (await kept()) === 4, 'all to be kept');
    const lamp = await connect('device-lamp');
    const heard = values(lamp);
    away.delete('lamp');
    await lamp.subscribeAsync(topicOf('lamp'), { qos: 1 });
    expect(await heard.first(4)).toEqual(['on', 'off', 'on', 'on']);
    await waitFor(async () => (await kept()) === 0, 'nothing to be kept');
    await app.publishAsync(topicOf('lamp'), command('last'), { qos: 1 });
    expect(await heard.first(5)).toEqual(['on', 'off', 'on', 'on', 'last']);
  });

  it('are kept for its other groups until it has subscribed to those, too', async () => {
    giveNotice();
    away.add('lamp');
    await start('one').holdCommands(homeId, moveId);
    const app = await connect('app');
    const lamp = await connect('device-lamp');
    const heard = values(lamp);
    await app.publishAsync(topicOf('lamp', 'living'), command('living'), { qos: 1 });
    await waitFor(async () => (await kept()) === 1, 'it to be kept');
    await lamp.subscribeAsync(topicOf('lamp', 'living'), { qos: 1 });
    expect(await heard.first(1)).toEqual(['living']);
    await waitFor(async () => (await kept()) === 0, 'nothing to be kept');
    await app.publishAsync(topicOf('lamp', 'upstairs'), command('upstairs'), { qos: 1 });
    await waitFor(async () => (await kept()) === 1, 'that to be kept, too');
    await lamp.subscribeAsync(topicOf('lamp', 'upstairs'), { qos: 1 });
    expect(await heard.first(2)).toEqual(['living', 'upstairs']);
  });

  it('are said three seconds after it has asked for its topics, where the broker tells of no subscription', async () => {
    away.add('lamp');
    await start('one').holdCommands(homeId, moveId);
    const app = await connect('app');
    await app.publishAsync(topicOf('lamp'), command(1), { qos: 1 });
    away.delete('lamp');
    const askedAtMs = performance.now();
    const lamp = await connect('device-lamp');
    const heard = values(lamp);
    await lamp.subscribeAsync(topicOf('lamp'), { qos: 1 });
    await app.publishAsync(topicOf('lamp'), command(2), { qos: 1 });
    // The one that it has heard already once more, so that the last one said is the last one heard.
    expect(await heard.first(3)).toEqual([2, 1, 2]);
    expect(performance.now() - askedAtMs).toBeGreaterThan(3_000);
  });

  it('are not lost when they cannot be stored just now', async () => {
    giveNotice();
    away.add('lamp');
    await start('one').holdCommands(homeId, moveId);
    await dataSource.query('ALTER TABLE federation.kept_message RENAME TO elsewhere');
    const app = await connect('app');
    for (const value of [1, 2, 3]) await app.publishAsync(topicOf('lamp'), command(value), { qos: 1 });
    const lamp = await connect('device-lamp');
    const heard = values(lamp);
    await lamp.subscribeAsync(topicOf('lamp'), { qos: 1 });
    await dataSource.query('ALTER TABLE federation.elsewhere RENAME TO kept_message');
    await heard.first(3);
    expect([...new Set(heard.items)]).toEqual([1, 2, 3]);
  });
});

describe('what is said at a broker that the home leaves', () => {
  it('is kept whichever process is asked to, and taken from any', async () => {
    const [one, other] = [start('one'), start('other')];
    await one.keepAll(homeId, moveId);
    expect(await dataSource.query('SELECT holder FROM federation.lease')).toEqual([{ holder: 'one' }]);
    await other.keepAll(homeId, moveId);
    const app = await connect('app');
    await app.publishAsync(topicOf('lamp'), command('on'), { qos: 1 });
    const taken = await waitFor(async () => {
      const messages = await other.take(homeId, 0);
      return messages.length > 0 ? messages : undefined;
    }, 'the message');
    expect(taken.map(({ topic }) => topic)).toEqual([topicOf('lamp')]);
    expect(await one.take(homeId, taken[0]?.number ?? 0)).toEqual([]);
  });

  it('is all there when its keeping has ended, to the last that the broker has taken', async () => {
    const [one, other] = [start('one'), start('other')];
    await one.keepAll(homeId, moveId);
    const app = await connect('app');
    const numbers = Array.from({ length: 500 }, (_, number) => number);
    await Promise.all(numbers.map((value) => app.publishAsync(topicOf('lamp'), command(value), { qos: 1 })));
    await other.endKeeping(homeId);
    const all: unknown[] = [];
    for (let taken = 0; ; ) {
      const messages = await other.take(homeId, taken);
      if (messages.length === 0) break;
      taken = messages.at(-1)?.number ?? 0;
      all.push(
        ...messages.map(
          ({ payload }) =>
            z.object({ value: z.number() }).parse(JSON.parse(Buffer.from(payload, 'base64').toString())).value,
        ),
      );
    }
    expect(all).toEqual(numbers);
    // The session is gone as well: the broker keeps nothing for nobody.
    expect(await dataSource.query('SELECT 1 FROM federation.lease')).toEqual([]);
    await app.publishAsync(topicOf('lamp'), command('too late'), { qos: 1 });
    const again = homeBroker.link('federation').open(`moving-${homeId}`, { clean: false });
    clients.push(again);
    const [packet] = await waitForEvent<[{ sessionPresent: boolean }]>(again, 'connect');
    expect(packet.sessionPresent).toBe(false);
  });

  it('goes on to be kept when the process that listens stops', async () => {
    const [one, other] = [start('one'), start('other')];
    await one.keepAll(homeId, moveId);
    const app = await connect('app');
    await app.publishAsync(topicOf('lamp'), command(1), { qos: 1 });
    await one.onModuleDestroy();
    await app.publishAsync(topicOf('lamp'), command(2), { qos: 1 });
    await waitFor(async () => (await kept()) >= 2, 'both');
    const all = (await other.take(homeId, 0)).map(({ payload }) => Buffer.from(payload, 'base64').toString());
    expect([...new Set(all)]).toEqual([command(1), command(2)]);
  });
});
