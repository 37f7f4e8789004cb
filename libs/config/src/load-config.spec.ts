import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, loadServiceConfig } from './load-config.js';
import type { Environment } from './settings.js';

const key = Buffer.alloc(32, 7).toString('base64');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

function refusal(env: Environment, load: (env: Environment) => unknown = loadConfig): string {
  try {
    load(env);
  } catch (error) {
    expect(error).toBeInstanceOf(Mqtt2goError);
    expect(error).toMatchObject({ code: 'configuration_invalid' });
    return error instanceof Error ? error.message : '';
  }
  throw new Error('nothing was refused');
}

describe('loadConfig', () => {
  it('needs nothing to be set', () => {
    expect(loadConfig({})).toEqual({
      profile: {
        name: 'remote-broker',
        homeBroker: 'remote',
        discovery: true,
        hostNames: [],
        plugins: ['revision-1'],
      },
      dataDir: resolve('data'),
      databaseUrl: undefined,
      publicHost: 'localhost',
      bind: '127.0.0.1',
      healthBind: '127.0.0.1',
      ports: {
        home: 8883,
        homeWss: 8884,
        activation: 8885,
        discovery: 8443,
        health: 9090,
        bus: 8886,
        homeServices: 8887,
        activationServices: 8888,
        federation: 8890,
        management: 8891,
      },
      encryptionKey: undefined,
      plugins: ['revision-1'],
      log: { level: 'info', format: 'json' },
      services: ['certificate-authority', 'topic-generator', 'discovery', 'provisioning', 'federation'],
      memory: 'large',
      invitation: undefined,
      bridge: true,
      managementBind: '127.0.0.1',
      mdns: { isOn: true, interfaces: undefined },
    });
  });

  it('makes a gateway in the house of one variable', () => {
    const { profile, plugins } = loadConfig({ MQTT2GO_PROFILE: 'local-gateway' });
    expect(profile).toMatchObject({ name: 'local-gateway', homeBroker: 'local', discovery: false });
    expect(profile.hostNames).toEqual(['MQTT2GO.local']);
    expect(plugins).toEqual(['revision-1', 'network-join-manual']);
    expect(loadConfig({ MQTT2GO_PROFILE: 'local-gateway', MQTT2GO_PLUGINS: 'revision-1' }).plugins).toEqual([
      'revision-1',
    ]);
  });

  it('takes what is set, and something empty as not set', () => {
    const config = loadConfig({
      MQTT2GO_DATA_DIR: '/srv/mqtt2go',
      DATABASE_URL: 'postgres://u:p@db:5432/mqtt2go',
      MQTT2GO_PUBLIC_HOST: 'home.example',
      MQTT2GO_BIND: '0.0.0.0',
      MQTT2GO_HOME_PORT: '0',
      MQTT2GO_HEALTH_PORT: '',
      MQTT2GO_PLUGINS: 'revision-1, my-plugin',
      MQTT2GO_SERVICES: 'discovery,provisioning',
      MQTT2GO_LOG_LEVEL: 'debug',
      MQTT2GO_LOG_FORMAT: 'pretty',
      MQTT2GO_KEY: key,
    });
    expect(config).toMatchObject({
      dataDir: '/srv/mqtt2go',
      databaseUrl: 'postgres://u:p@db:5432/mqtt2go',
      publicHost: 'home.example',
      bind: '0.0.0.0',
      ports: { home: 0, health: 9090 },
      plugins: ['revision-1', 'my-plugin'],
      services: ['discovery', 'provisioning'],
      log: { level: 'debug', format: 'pretty' },
    });
    expect(config.encryptionKey).toEqual(new Uint8Array(32).fill(7));
    expect(loadConfig({ MQTT2GO_SERVICES: 'none' }).services).toEqual([]);
    expect(loadConfig({}).memory).toBe('large');
    expect(loadConfig({ MQTT2GO_MEMORY: 'small' }).memory).toBe('small');
  });

  it('takes interfaces on which a local gateway is told', () => {
    const { mdns } = loadConfig({ MQTT2GO_MDNS: 'off', MQTT2GO_MDNS_INTERFACES: 'eth0, wlan0' });
    expect(mdns).toEqual({ isOn: false, interfaces: ['eth0', 'wlan0'] });
  });

  it('cannot be changed afterwards', () => {
    const config = loadConfig({});
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.ports)).toBe(true);
    expect(Object.isFrozen(config.plugins)).toBe(true);
  });

  it.each([
    [{ MQTT2GO_HOME_PORT: '70000' }, "MQTT2GO_HOME_PORT is '70000'; it takes a port number from 0 to 65535"],
    [{ MQTT2GO_HOME_PORT: '8883x' }, "MQTT2GO_HOME_PORT is '8883x'; it takes a port number from 0 to 65535"],
    [
      { MQTT2GO_BIND: 'everywhere' },
      "MQTT2GO_BIND is 'everywhere'; it takes an IP address to listen on, such as 127.0.0.1 or 0.0.0.0",
    ],
    [
      { MQTT2GO_MANAGEMENT_BIND: 'eth0' },
      "MQTT2GO_MANAGEMENT_BIND is 'eth0'; it takes an IP address to listen on, such as 127.0.0.1 or 0.0.0.0",
    ],
    [{ MQTT2GO_MANAGEMENT_PORT: '-1' }, "MQTT2GO_MANAGEMENT_PORT is '-1'; it takes a port number from 0 to 65535"],
    [
      { MQTT2GO_PUBLIC_HOST: 'https://x' },
      "MQTT2GO_PUBLIC_HOST is 'https://x'; it takes a host name or IP address, without scheme and port",
    ],
    [
      { MQTT2GO_LOG_LEVEL: 'loud' },
      "MQTT2GO_LOG_LEVEL is 'loud'; it takes one of trace, debug, info, warn, error, fatal, silent",
    ],
    [{ MQTT2GO_LOG_FORMAT: 'xml' }, "MQTT2GO_LOG_FORMAT is 'xml'; it takes 'json' or 'pretty'"],
    [{ MQTT2GO_PLUGINS: 'a,,b' }, "MQTT2GO_PLUGINS is 'a,,b'; it takes names of plugins, separated by commas"],
    [{ MQTT2GO_MDNS: 'maybe' }, "MQTT2GO_MDNS is 'maybe'; it takes 'on' or 'off'"],
    ...['eth0,', '../eth0', 'eth 0', 'a-name-too-long-for-linux'].map((name): [Environment, string] => [
      { MQTT2GO_MDNS_INTERFACES: name },
      `MQTT2GO_MDNS_INTERFACES is '${name}'; it takes names of network interfaces, separated by commas, such as eth0,wlan0`,
    ]),
    [{ MQTT2GO_PROFILE: 'cloud' }, "MQTT2GO_PROFILE is 'cloud'; it takes 'remote-broker' or 'local-gateway'"],
    [
      { MQTT2GO_SERVICES: 'discovery,kitchen' },
      "MQTT2GO_SERVICES is 'discovery,kitchen'; it takes 'all', 'none', or some of certificate-authority, topic-generator, discovery, provisioning, federation",
    ],
  ])('names the variable, what it is and what it takes: %o', (env, line) => {
    expect(refusal(env)).toBe(line);
  });

  it('names all wrong variables at once, and repeats no secret', () => {
    expect(
      refusal({ MQTT2GO_HOME_PORT: 'x', DATABASE_URL: 'mysql://me:secret@db', MQTT2GO_LOG_FORMAT: 'y' }).split('\n'),
    ).toEqual([
      "MQTT2GO_HOME_PORT is 'x'; it takes a port number from 0 to 65535",
      "MQTT2GO_LOG_FORMAT is 'y'; it takes 'json' or 'pretty'",
      'DATABASE_URL has a wrong value; it takes a URL that begins with postgres:// or postgresql://',
    ]);
  });

  it('reads the key from a variable or a file, not from both', async () => {
    const file = join(folder, 'key');
    await writeFile(file, `${key}\n`);
    expect(loadConfig({ MQTT2GO_KEY_FILE: file }).encryptionKey).toEqual(new Uint8Array(32).fill(7));
    expect(refusal({ MQTT2GO_KEY: key, MQTT2GO_KEY_FILE: file })).toBe(
      'MQTT2GO_KEY and MQTT2GO_KEY_FILE are both set; set one of them',
    );
    expect(refusal({ MQTT2GO_KEY: 'c2hvcnQ=' })).toBe('MQTT2GO_KEY has a wrong value; it takes 32 bytes in base64');
    await writeFile(file, 'not a key');
    expect(refusal({ MQTT2GO_KEY_FILE: file })).toBe(
      `MQTT2GO_KEY_FILE names ${file}, which does not hold 32 bytes in base64`,
    );
    expect(refusal({ MQTT2GO_KEY_FILE: join(folder, 'missing') })).toContain('which cannot be read: ENOENT');
  });
});

describe('loadServiceConfig', () => {
  it('needs a database, and finds the rest at a gateway on this machine', () => {
    expect(refusal({}, loadServiceConfig)).toBe(
      'DATABASE_URL is not set; it takes a URL that begins with postgres:// or postgresql://',
    );
    expect(
      loadServiceConfig({ DATABASE_URL: 'postgres://db/x', MQTT2GO_BUS_PORT: '1886', MQTT2GO_DATA_DIR: '/d' }),
    ).toMatchObject({
      databaseUrl: 'postgres://db/x',
      brokers: {
        bus: { kind: 'embedded', urls: ['mqtts://127.0.0.1:1886'] },
        activation: { kind: 'embedded', urls: ['mqtts://127.0.0.1:8888'] },
        home: [
          {
            name: 'home-0',
            kind: 'embedded',
            urls: ['mqtts://127.0.0.1:8887'],
            host: 'localhost',
            port: 8883,
            controllerUrl: 'mqtts://localhost:8883',
            controllerWebSocketUrl: 'wss://localhost:8884',
          },
        ],
      },
      discoveryUrl: 'https://localhost:8443',
      federationUrl: 'https://localhost:8890',
      tlsDir: '/d/tls',
      replica: expect.stringMatching(/^[A-Za-z0-9.-]+$/),
      replicas: 1,
    });
  });

  it('goes where it is told', () => {
    const config = loadServiceConfig({
      DATABASE_URL: 'postgres://db/x',
      MQTT2GO_BUS_URL: 'mqtts://bus:1',
      MQTT2GO_HOME_BROKER_URL: 'mqtts://home:2',
      MQTT2GO_ACTIVATION_BROKER_URL: 'mqtts://activation:3',
      MQTT2GO_DISCOVERY_URL: 'https://discovery:4',
      MQTT2GO_FEDERATION_URL: 'https://gateways.example:5',
      MQTT2GO_TLS_DIR: '/tls',
      MQTT2GO_REPLICA: 'provisioning-1',
      MQTT2GO_REPLICAS: '2',
      MQTT2GO_HEALTH_BIND: '0.0.0.0',
    });
    expect(config).toMatchObject({
      brokers: {
        bus: { urls: ['mqtts://bus:1'] },
        activation: { urls: ['mqtts://activation:3'] },
        home: [{ urls: ['mqtts://home:2'] }],
      },
      discoveryUrl: 'https://discovery:4',
      federationUrl: 'https://gateways.example:5',
      tlsDir: '/tls',
      replica: 'provisioning-1',
      replicas: 2,
      healthBind: '0.0.0.0',
    });
  });

  it('has its gateways come to the public host, if nothing else is said', () => {
    const url = (host: string) =>
      loadServiceConfig({
        DATABASE_URL: 'postgres://db/x',
        MQTT2GO_PUBLIC_HOST: host,
        MQTT2GO_FEDERATION_PORT: '7',
      }).federationUrl;
    expect(url('home.example')).toBe('https://home.example:7');
    expect(url('2001:db8::1')).toBe('https://[2001:db8::1]:7');
  });

  it('takes no connection without TLS', () => {
    expect(refusal({ DATABASE_URL: 'postgres://db/x', MQTT2GO_BUS_URL: 'mqtt://bus' }, loadServiceConfig)).toBe(
      "MQTT2GO_BUS_URL is 'mqtt://bus'; it takes a URL that begins with mqtts://",
    );
    expect(
      refusal({ DATABASE_URL: 'postgres://db/x', MQTT2GO_FEDERATION_URL: 'http://gateways' }, loadServiceConfig),
    ).toBe("MQTT2GO_FEDERATION_URL is 'http://gateways'; it takes a URL that begins with https://");
  });
});
