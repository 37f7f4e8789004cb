import { anyPorts } from '@mqtt2go/config';
import { readFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { parseEnv } from 'node:util';
import { discovery, federation, moving, type MoveView } from '@mqtt2go/messaging';
import { waitFor } from '@mqtt2go/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootstrap } from '../../../tools/bootstrap.mjs';
import { Balancer } from './support/balancer.js';
import { Node, writeInvitation } from './support/federation-stand.js';
import { freePorts } from './support/gateway-process.js';
import { getDeviceTopics, join, type Joined, now } from './support/joining.js';
import { Program } from './support/program.js';
import { SeparateProcesses } from './support/separate-processes.js';
import { type Heard, report, type Wire } from './support/wire.js';
import { type AppCredentials, mintDevice } from './support/world.js';

const home = { homeId: 'home-1', gatewayId: 'gw' };
const deviceId = 'lamp-1';

const command = (value: string): object => ({ type: 'command', timestamp: now(), command_type: 'set', value });
const status = (value: string): object => ({
  type: 'report',
  timestamp: now(),
  report_type: 'status',
  report_name: 'set',
  value,
});
const isCommand = ({ json }: Heard): boolean => json.type === 'command' && json.command_type === 'set';

describe('a home moves to a cloud with two federation processes, and back', () => {
  let cloud: SeparateProcesses;
  let gateway: Node;
  let balancer: Balancer;
  let database: pg.Client;
  const replicas = new Map<string, Program>();
  const environments = new Map<string, Record<string, string>>();
  let app: AppCredentials;
  let joined: Joined;
  let topic: string;

  const startReplica = async (name: string): Promise<void> => {
    const env = environments.get(name) ?? {};
    const program = Program.start('federation', env, joinPath(cloud.dataDir, 'services.env'));
    replicas.set(name, program);
    await cloud.untilReady(Number(env.MQTT2GO_HEALTH_PORT));
  };

  beforeAll(async () => {
    await bootstrap();
    cloud = await SeparateProcesses.create();
    const names = ['federation-0', 'federation-1'];
    const ports = await freePorts(names.flatMap((name) => [`${name}-door`, `${name}-health`]));
    const portOf = (name: string): string => ports[name] ?? '';
    balancer = await Balancer.open(names.map((name) => Number(portOf(`${name}-door`))));
    for (const name of names) {
      environments.set(name, {
        MQTT2GO_REPLICA: name,
        MQTT2GO_FEDERATION_PORT: portOf(`${name}-door`),
        MQTT2GO_HEALTH_PORT: portOf(`${name}-health`),
        MQTT2GO_FEDERATION_URL: `https://localhost:${balancer.port}`,
      });
    }
    await cloud.start();
    await cloud.service('federation').end();
    await startReplica('federation-0');
    // With one of them: on an embedded bus each would answer, and the second invitation end the first.
    const operator = await cloud.operator();
    const invitation = await operator.call(federation.inviteGateway, home);
    await operator.close();
    gateway = await Node.create({
      ...anyPorts,
      MQTT2GO_PROFILE: 'local-gateway',
      MQTT2GO_INVITATION: await writeInvitation(invitation),
      MQTT2GO_MDNS: 'off',
      MQTT2GO_BRIDGE: 'off',
    });
    await gateway.start();
    await startReplica('federation-1');
    const env = parseEnv(await readFile(joinPath(cloud.dataDir, 'services.env'), 'utf8'));
    database = new pg.Client(env.DATABASE_URL);
    await database.connect();

    app = await gateway.app(home.homeId, home.gatewayId);
    const bus = await gateway.busAs('federation');
    await waitFor(
      async () => (await bus.call(discovery.listManufacturers, {})).manufacturers.length > 0,
      'the manufacturers of the cloud',
    );
    await bus.close();
    const minted = await mintDevice(await gateway.operator(), cloud.manufacturer, { deviceId });
    joined = await join(gateway, app, await gateway.connectApp(app), minted);
    topic = joined.topics[0] ?? '';
  });
  afterAll(async () => {
    await database.end();
    await gateway.close();
    await Promise.all([...replicas.values()].map((program) => program.end()));
    await balancer.close();
    await cloud.close();
  });

  const newest = async (): Promise<MoveView | undefined> =>
    (await (await gateway.operator()).call(moving.getHomeMove, {})).move;
  const until = async (state: string): Promise<void> => {
    await waitFor(async () => (await newest())?.state === state, `the move to be ${state}`, 60_000);
  };
  const listener = async (): Promise<string | undefined> => {
    const { rows } = await database.query<{ holder: string }>(
      'SELECT holder FROM federation.lease WHERE name = $1 AND until > now()',
      [`listening/${home.homeId}`],
    );
    return rows[0]?.holder;
  };
  const killListener = async (): Promise<string> => {
    const holder = (await listener()) ?? '';
    await replicas.get(holder)?.end('SIGKILL');
    return holder;
  };
  const atCloud = (credentials: AppCredentials): Promise<Wire> =>
    cloud.connectApp({ ...credentials, url: `mqtts://localhost:${cloud.ports.MQTT2GO_HOME_PORT}` });
  /** The device comes with what it has. */
  const arrive = async (wire: Wire): Promise<Wire> => {
    await wire.subscribe(`${deviceId}/topics`);
    await wire.publish(`${deviceId}/topics`, getDeviceTopics());
    expect((await wire.hear(report('topics'))).json.value).toStrictEqual(joined.topics);
    await wire.subscribe(topic);
    return wire;
  };

  it('one listens to it, and the other goes on when that one is killed, without a message lost', async () => {
    await (await gateway.operator()).call(moving.moveHome, { to: 'remote' });
    await until('telling');
    await joined.wire.hear(report('mqtt_credentials'));
    await joined.wire.close();
    const person = await atCloud(app);
    await person.publish(topic, command('while both are there'));
    const first = await killListener();
    expect(environments.has(first)).toBe(true);
    await person.publish(topic, command('while nobody listens'));
    const there = await arrive(await cloud.connectHome({ ...joined.data, deviceId }));
    await there.hear(({ json }) => json.value === 'while both are there', 60_000);
    await there.hear(({ json }) => json.value === 'while nobody listens', 60_000);
    await until('moved');
    expect(new Set(there.heard.filter(isCommand).map(({ json }) => json.value))).toStrictEqual(
      new Set(['while both are there', 'while nobody listens']),
    );
    await startReplica(first);

    // The way back, from a cloud whose processes answer by turns.
    await (await gateway.operator()).call(moving.moveHome, { to: 'local' });
    await until('telling');
    await there.hear(report('mqtt_credentials'));
    const back = await gateway.connectApp(app);
    await back.subscribe(topic);
    await there.publish(topic, status('to both'));
    const second = await killListener();
    expect(environments.has(second)).toBe(true);
    await there.publish(topic, status('to nobody'));
    await back.hear(({ json }) => json.value === 'to both', 60_000);
    await back.hear(({ json }) => json.value === 'to nobody', 60_000);
    await arrive(await gateway.connectHome({ ...joined.data, deviceId }));
    await until('moved');
    await waitFor(async () => (await listener()) === undefined, 'nobody to listen any more', 30_000);
    await startReplica(second);
  }, 240_000);

  it('one that was paused takes nothing back from the one that went on', async () => {
    const before = await gateway.connectHome({ ...joined.data, deviceId });
    await before.subscribe(`${deviceId}/topics`);
    await (await gateway.operator()).call(moving.moveHome, { to: 'remote' });
    await until('telling');
    await before.hear(report('mqtt_credentials'));
    await before.close();
    const person = await atCloud(app);
    await person.publish(topic, command('before the pause'));
    const paused = (await listener()) ?? '';
    const pid = replicas.get(paused)?.pid ?? 0;
    expect(pid).toBeGreaterThan(0);
    process.kill(pid, 'SIGSTOP');
    let next: string | undefined;
    try {
      await person.publish(topic, command('in the pause'));
      next = await waitFor(
        async () => {
          const holder = await listener();
          return holder === paused ? undefined : holder;
        },
        'the other one',
        30_000,
      );
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await person.publish(topic, command('after the pause'));
    const there = await arrive(await cloud.connectHome({ ...joined.data, deviceId }));
    await there.hear(({ json }) => json.value === 'after the pause', 60_000);
    expect(await listener()).toBe(next);
    const heard = there.heard.filter(isCommand).map(({ json }) => json.value);
    expect([...new Set(heard)]).toStrictEqual(['before the pause', 'in the pause', 'after the pause']);
    expect(heard.at(-1)).toBe('after the pause');
    await until('moved');
  }, 240_000);
});
