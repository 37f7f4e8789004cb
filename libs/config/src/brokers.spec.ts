import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBrokersFile } from './brokers.js';
import { loadServiceConfig } from './load-config.js';

const bus = { kind: 'mosquitto', url: 'mqtts://bus:8886' };
const activation = { kind: 'mosquitto', url: 'mqtts://activation:8888', accessDir: '/brokers/activation/access' };
const home0 = {
  name: 'home-0',
  kind: 'mosquitto',
  url: 'mqtts://home-0:8887',
  host: 'home-0.example',
  port: 18883,
  controllerUrl: 'mqtts://home-0.example:8889',
  controllerWebSocketUrl: 'wss://home-0.example:8884',
  accessDir: '/brokers/home-0/access',
};
const management = { kind: 'rabbitmq', url: 'https://rabbit:15671', userFile: '/run/secrets/rabbit' };
const cluster = {
  name: 'cluster',
  kind: 'http',
  url: ['mqtts://rabbit-0:8887', 'mqtts://rabbit-1:8887'],
  controllerUrl: 'mqtts://rabbit.example',
  management,
  authPort: 8890,
};

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-brokers-'));
  file = join(folder, 'brokers.json');
});
afterAll(() => rm(folder, { recursive: true }));

async function read(content: unknown): Promise<ReturnType<typeof readBrokersFile>> {
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readBrokersFile(file, 'public.example');
}

async function refusal(content: unknown): Promise<string> {
  const error = await read(content).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toMatchObject({ code: 'configuration_invalid' });
  return error instanceof Error ? error.message.replaceAll(file, 'FILE') : '';
}

describe('readBrokersFile', () => {
  it('reads brokers of each kind, and fills in what follows from the rest', async () => {
    const brokers = await read({ bus, activation, home: [home0, cluster] });
    expect(brokers.bus).toEqual({ kind: 'mosquitto', urls: ['mqtts://bus:8886'] });
    expect(brokers.activation).toMatchObject({ host: 'public.example', port: 8885 });
    expect(brokers.home).toMatchObject([
      { name: 'home-0', urls: ['mqtts://home-0:8887'], host: 'home-0.example', port: 18_883 },
      { name: 'cluster', urls: cluster.url, host: 'public.example', port: 8883, authPort: 8890 },
    ]);
    const { kind, userFile } = management;
    expect(brokers.home[1]?.management).toEqual({ kind, userFile, urls: [management.url], caFile: undefined });
  });

  it.each<[string, unknown, string]>([
    ['no home broker', { bus, activation, home: [] }, 'MQTT2GO_BROKERS: FILE: home: '],
    ['no TLS', { bus: { ...bus, url: 'mqtt://bus' }, activation, home: [home0] }, 'FILE: bus.url: '],
    [
      'a name twice',
      { bus, activation, home: [home0, { ...home0, accessDir: '/elsewhere' }] },
      "FILE: home[1].name: 'home-0' is there twice",
    ],
    ['a name that is none', { bus, activation, home: [{ ...home0, name: 'Home 0' }] }, 'FILE: home[0].name: '],
    ['a word too many', { bus, activation, home: [{ ...home0, colour: 'red' }] }, 'colour'],
    [
      'a controllers’ door that nobody can guess',
      { bus, activation, home: [{ ...home0, controllerUrl: undefined }] },
      "FILE: home[0].controllerUrl: needed for kind 'mosquitto'",
    ],
    [
      'a cluster without its management',
      { bus, activation, home: [{ ...cluster, management: undefined }] },
      "FILE: home[0].management: needed for a broker of kind 'http'",
    ],
    [
      'a snapshot for a broker that reads none',
      { bus, activation, home: [{ ...cluster, accessDir: '/x' }] },
      "FILE: home[0].accessDir: only for a broker of kind 'mosquitto'",
    ],
    [
      'an embedded broker’s kind on the bus of a cluster',
      { bus: { ...bus, kind: 'http' }, activation, home: [home0] },
      'bus.kind',
    ],
    [
      'an activation broker that asks',
      { bus, activation: { ...activation, kind: 'http' }, home: [home0] },
      'activation.kind',
    ],
    [
      'gateways at a broker that knows them by itself',
      { bus, activation, home: [{ ...cluster, gateways: true }] },
      "FILE: home[0].gateways: only for a broker of kind 'mosquitto'",
    ],
    ['no JSON', '{', 'MQTT2GO_BROKERS names FILE, which is not JSON: '],
    ['a file that is too long', ' '.repeat(300_000), '262144 at most'],
  ])('refuses %s', async (_what, content, line) => {
    expect(await refusal(content)).toContain(line);
  });

  it('names each fault', async () => {
    const lines = (await refusal({ bus, home: [{ ...home0, port: 0 }] })).split('\n');
    expect(lines).toEqual([
      expect.stringContaining('FILE: activation: '),
      expect.stringContaining('FILE: home[0].port: '),
    ]);
  });
});

describe('loadServiceConfig', () => {
  const env = { DATABASE_URL: 'postgres://db/x' };

  it('takes the brokers from the file', async () => {
    await read({ bus, activation, home: [home0] });
    const config = loadServiceConfig({ ...env, MQTT2GO_BROKERS: file, MQTT2GO_PUBLIC_HOST: 'me.example' });
    expect(config.brokers.activation.host).toBe('me.example');
    expect(Object.isFrozen(config.brokers.home[0])).toBe(true);
  });

  it.each([
    [{ MQTT2GO_BROKERS: '/nowhere/brokers.json' }, 'MQTT2GO_BROKERS names /nowhere/brokers.json, which cannot be read'],
    [{ MQTT2GO_BROKERS: '/x', MQTT2GO_BUS_URL: 'mqtts://b' }, 'MQTT2GO_BROKERS and MQTT2GO_BUS_URL are both set'],
    [{ MQTT2GO_REPLICA: 'a/b' }, "MQTT2GO_REPLICA is 'a/b'; it takes a name of letters"],
    [{ MQTT2GO_REPLICAS: '0' }, "MQTT2GO_REPLICAS is '0'; it takes how many processes"],
  ])('refuses %o', (wrong, line) => {
    expect(() => loadServiceConfig({ ...env, ...wrong })).toThrow(line);
  });
});
