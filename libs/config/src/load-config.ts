import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { NetworkMethod } from '@mqtt2go/protocol';
import { z } from 'zod';
import { type BrokersConfig, embeddedBrokers, readBrokersFile } from './brokers.js';
import { withDatabaseUrl } from './database-url.js';
import { encryptionKeySettings, readEncryptionKey } from './encryption-key.js';
import { findProfile, type Profile, profileExpectation } from './profiles/index.js';
import { type Environment, invalidSettings, list, port, readSettings, text, url, wrongSetting } from './settings.js';

/** The services that a gateway process can run itself. */
export const runnableServices = [
  'certificate-authority',
  'topic-generator',
  'discovery',
  'provisioning',
  'federation',
] as const;
export type RunnableService = (typeof runnableServices)[number];

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  readonly format: 'json' | 'pretty';
}

/** What every process of the platform reads. */
export interface CommonConfig {
  readonly profile: Profile;
  /** Absolute. */
  readonly dataDir: string;
  /** A PostgreSQL to use; the embedded one when there is none. */
  readonly databaseUrl: string | undefined;
  /** The name or address by which devices reach the platform: in certificates and `broker_ip`. */
  readonly publicHost: string;
  /** The address that listeners bind to. */
  readonly bind: string;
  /** The address that health and metrics are served on. */
  readonly healthBind: string;
  readonly ports: PortConfig;
  /** 32 bytes; undefined when neither variable is set (the gateway then keeps one in its data folder). */
  readonly encryptionKey: Uint8Array<ArrayBuffer> | undefined;
  /** Names of the plugins to load. */
  readonly plugins: readonly string[];
  readonly log: LogConfig;
}

export interface PortConfig {
  readonly home: number;
  readonly homeWss: number;
  readonly activation: number;
  readonly discovery: number;
  readonly health: number;
  readonly bus: number;
  readonly homeServices: number;
  readonly activationServices: number;
  /** The gateways' door. */
  readonly federation: number;
  /** The operator's REST side of a gateway in the house. */
  readonly management: number;
}

/** What the gateway process reads. */
export interface PlatformConfig extends CommonConfig {
  /** Which services this process runs itself. */
  readonly services: readonly RunnableService[];
  /** How new devices are let into the Wi-Fi, with a gateway in the house; the plugin's choice when undefined. */
  readonly networkMethod: NetworkMethod | undefined;
  /** `small`: that it fits on a small box counts for more than what it can do in a second. */
  readonly memory: 'small' | 'large';
  /** The file by which a gateway enrols at the cloud at its first start. */
  readonly invitation: string | undefined;
  /** Whether an enrolled gateway's home is reached through the cloud's broker, too. */
  readonly bridge: boolean;
  /** The address that the operator's REST side of a gateway in the house is served on. */
  readonly managementBind: string;
  /** How the local gateway is told in the house's network. */
  readonly mdns: MdnsConfig;
}

export interface MdnsConfig {
  readonly isOn: boolean;
  /** The only network interfaces on which it is told; undefined: all that it listens on. */
  readonly interfaces: readonly string[] | undefined;
}

/** What a service that runs as its own process reads. */
export interface ServiceConfig extends CommonConfig {
  readonly databaseUrl: string;
  readonly brokers: BrokersConfig;
  readonly discoveryUrl: string;
  /** Where gateways reach their door: `https://host:port`. */
  readonly federationUrl: string;
  /** Tells this process from the service's other replicas, and is the same after a restart. */
  readonly replica: string;
  /** How many processes of the service there are: one that stops leaves its work to the others when there are any. */
  readonly replicas: number;
  /** Absolute; a folder like `<data>/tls`. */
  readonly tlsDir: string;
}

const listenAddress = z.union([z.ipv4(), z.ipv6(), z.literal('localhost')]).default('127.0.0.1');
const listenExpectation = 'an IP address to listen on, such as 127.0.0.1 or 0.0.0.0';

const commonSettings = {
  MQTT2GO_PROFILE: text(profileExpectation).default('remote-broker'),
  MQTT2GO_DATA_DIR: text('the path of a folder').default('./data'),
  MQTT2GO_PUBLIC_HOST: z
    .string()
    .regex(/^[A-Za-z0-9.:-]{1,253}$/)
    .default('localhost')
    .describe('a host name or IP address, without scheme and port'),
  MQTT2GO_BIND: listenAddress.describe(listenExpectation),
  MQTT2GO_HEALTH_BIND: listenAddress.describe(listenExpectation),
  MQTT2GO_HOME_PORT: port(8883),
  MQTT2GO_HOME_WSS_PORT: port(8884),
  MQTT2GO_ACTIVATION_PORT: port(8885),
  MQTT2GO_DISCOVERY_PORT: port(8443),
  MQTT2GO_HEALTH_PORT: port(9090),
  MQTT2GO_BUS_PORT: port(8886),
  MQTT2GO_HOME_SERVICES_PORT: port(8887),
  MQTT2GO_ACTIVATION_SERVICES_PORT: port(8888),
  MQTT2GO_FEDERATION_PORT: port(8890),
  MQTT2GO_MANAGEMENT_PORT: port(8891),
  ...encryptionKeySettings,
  MQTT2GO_PLUGINS: list('names of plugins, separated by commas').optional(),
  MQTT2GO_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('one of trace, debug, info, warn, error, fatal, silent'),
  MQTT2GO_LOG_FORMAT: z.enum(['json', 'pretty']).default('json').describe("'json' or 'pretty'"),
};

/** Lets every port of a process be one that is free; by variable. */
export const anyPorts: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(commonSettings).flatMap((name) => (name.endsWith('_PORT') ? [[name, '0']] : [])),
);

const replicaName = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$/;
const databaseUrl = url('postgres', 'postgresql');

/** Linux takes no longer ones. */
const interfaceName = /^[^\s/,]{1,15}$/;
const interfaceExpectation = 'names of network interfaces, separated by commas, such as eth0,wlan0';

const gatewaySettings = {
  ...commonSettings,
  DATABASE_URL: databaseUrl.optional(),
  MQTT2GO_NETWORK_METHOD: z.enum(['wps', 'guest', 'manual']).optional().describe("'wps', 'guest' or 'manual'"),
  MQTT2GO_INVITATION: text('the path of the file that mqtt2go gateway invite wrote').optional(),
  MQTT2GO_MANAGEMENT_BIND: listenAddress.describe(listenExpectation),
  MQTT2GO_BRIDGE: z.enum(['on', 'off']).default('on').describe("'on' or 'off'"),
  MQTT2GO_MDNS: z.enum(['on', 'off']).default('on').describe("'on' or 'off'"),
  MQTT2GO_MDNS_INTERFACES: list(interfaceExpectation)
    .refine((names) => names.length <= 32 && names.every((name) => interfaceName.test(name)))
    .optional()
    .describe(interfaceExpectation),
  MQTT2GO_SERVICES: list(`'all', 'none', or some of ${runnableServices.join(', ')}, separated by commas`).default([
    'all',
  ]),
  MQTT2GO_MEMORY: z.enum(['small', 'large']).optional().describe("'small' or 'large'"),
};

const serviceSettings = {
  ...commonSettings,
  DATABASE_URL: databaseUrl,
  MQTT2GO_BROKERS: text('the path of a brokers file').optional(),
  MQTT2GO_BUS_URL: url('mqtts').optional(),
  MQTT2GO_HOME_BROKER_URL: url('mqtts').optional(),
  MQTT2GO_ACTIVATION_BROKER_URL: url('mqtts').optional(),
  MQTT2GO_DISCOVERY_URL: url('https').optional(),
  MQTT2GO_FEDERATION_URL: url('https').optional(),
  MQTT2GO_TLS_DIR: text('the path of a folder with ca.crt, services-ca.crt and services/').optional(),
  MQTT2GO_REPLICA: z.string().regex(replicaName).optional().describe('a name of letters, digits, . and -, 63 at most'),
  MQTT2GO_REPLICAS: z
    .string()
    .regex(/^[1-9]\d{0,2}$/)
    .transform(Number)
    .default(1)
    .describe('how many processes of the service there are, from 1 to 999'),
};

/**
 * The gateway's configuration.
 * @throws Mqtt2goError `configuration_invalid` with a line per wrong variable
 */
export function loadConfig(env: Environment): PlatformConfig {
  const settings = readSettings(gatewaySettings, withDatabaseUrl(env));
  const shared = common(settings);
  return deepFreeze({
    ...shared,
    plugins: settings.MQTT2GO_PLUGINS ?? shared.profile.plugins,
    services: chosenServices(settings.MQTT2GO_SERVICES),
    networkMethod: settings.MQTT2GO_NETWORK_METHOD,
    memory: settings.MQTT2GO_MEMORY ?? (shared.profile.homeBroker === 'local' ? 'small' : 'large'),
    invitation: settings.MQTT2GO_INVITATION === undefined ? undefined : resolve(settings.MQTT2GO_INVITATION),
    bridge: settings.MQTT2GO_BRIDGE === 'on',
    managementBind: settings.MQTT2GO_MANAGEMENT_BIND,
    mdns: { isOn: settings.MQTT2GO_MDNS === 'on', interfaces: settings.MQTT2GO_MDNS_INTERFACES },
  });
}

/**
 * The configuration of a service that runs on its own. The addresses default to the gateway's own on this machine.
 * @throws Mqtt2goError `configuration_invalid` with a line per wrong variable
 */
export function loadServiceConfig(env: Environment): ServiceConfig {
  const settings = readSettings(serviceSettings, withDatabaseUrl(env));
  const shared = common(settings);
  const { ports, publicHost } = shared;
  return deepFreeze({
    ...shared,
    databaseUrl: settings.DATABASE_URL,
    brokers: chosenBrokers(settings, shared),
    discoveryUrl: settings.MQTT2GO_DISCOVERY_URL ?? `https://localhost:${ports.discovery}`,
    federationUrl: settings.MQTT2GO_FEDERATION_URL ?? `https://${urlHost(publicHost)}:${ports.federation}`,
    tlsDir: resolve(settings.MQTT2GO_TLS_DIR ?? `${shared.dataDir}/tls`),
    replica: settings.MQTT2GO_REPLICA ?? ownReplicaName(),
    replicas: settings.MQTT2GO_REPLICAS,
  });
}

const brokerUrls = ['MQTT2GO_BUS_URL', 'MQTT2GO_HOME_BROKER_URL', 'MQTT2GO_ACTIVATION_BROKER_URL'] as const;

/** Those of the brokers file; without one, the embedded brokers of a gateway. */
function chosenBrokers(
  settings: { readonly MQTT2GO_BROKERS?: string } & Readonly<Partial<Record<(typeof brokerUrls)[number], string>>>,
  { publicHost, ports }: CommonConfig,
): BrokersConfig {
  const { MQTT2GO_BROKERS: file } = settings;
  if (file !== undefined) {
    const both = brokerUrls.find((name) => settings[name] !== undefined);
    if (both !== undefined) throw invalidSettings([`MQTT2GO_BROKERS and ${both} are both set; set one of them`]);
    return readBrokersFile(file, publicHost);
  }
  return embeddedBrokers({
    busUrl: settings.MQTT2GO_BUS_URL ?? `mqtts://127.0.0.1:${ports.bus}`,
    homeUrl: settings.MQTT2GO_HOME_BROKER_URL ?? `mqtts://127.0.0.1:${ports.homeServices}`,
    activationUrl: settings.MQTT2GO_ACTIVATION_BROKER_URL ?? `mqtts://127.0.0.1:${ports.activationServices}`,
    publicHost,
    homePort: ports.home,
    homeWssPort: ports.homeWss,
    activationPort: ports.activation,
  });
}

/** An IPv6 address stands in brackets in a URL. */
function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** A host's name may have letters that client ids had better not have. */
function ownReplicaName(): string {
  const name = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '-')
    .slice(0, 63);
  return replicaName.test(name) ? name : 'replica';
}

function common(settings: z.output<z.ZodObject<typeof commonSettings>> & { DATABASE_URL?: string }): CommonConfig {
  return {
    profile: findProfile(settings.MQTT2GO_PROFILE),
    dataDir: resolve(settings.MQTT2GO_DATA_DIR),
    databaseUrl: settings.DATABASE_URL,
    publicHost: settings.MQTT2GO_PUBLIC_HOST,
    bind: settings.MQTT2GO_BIND,
    healthBind: settings.MQTT2GO_HEALTH_BIND,
    ports: {
      home: settings.MQTT2GO_HOME_PORT,
      homeWss: settings.MQTT2GO_HOME_WSS_PORT,
      activation: settings.MQTT2GO_ACTIVATION_PORT,
      discovery: settings.MQTT2GO_DISCOVERY_PORT,
      health: settings.MQTT2GO_HEALTH_PORT,
      bus: settings.MQTT2GO_BUS_PORT,
      homeServices: settings.MQTT2GO_HOME_SERVICES_PORT,
      activationServices: settings.MQTT2GO_ACTIVATION_SERVICES_PORT,
      federation: settings.MQTT2GO_FEDERATION_PORT,
      management: settings.MQTT2GO_MANAGEMENT_PORT,
    },
    encryptionKey: readEncryptionKey(settings),
    plugins: settings.MQTT2GO_PLUGINS ?? ['revision-1'],
    log: { level: settings.MQTT2GO_LOG_LEVEL, format: settings.MQTT2GO_LOG_FORMAT },
  };
}

function chosenServices(names: readonly string[]): readonly RunnableService[] {
  if (names.length === 1 && names[0] === 'all') {
    return runnableServices;
  }
  if (names.length === 1 && names[0] === 'none') {
    return [];
  }
  return names.map((name) => {
    const service = runnableServices.find((known) => known === name);
    if (service === undefined) {
      const expectation = `'all', 'none', or some of ${runnableServices.join(', ')}`;
      throw invalidSettings([wrongSetting('MQTT2GO_SERVICES', names.join(','), expectation)]);
    }
    return service;
  });
}

/** Freezes plain objects and arrays; the bytes of a key cannot be frozen. */
function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === 'object' && part !== null && !ArrayBuffer.isView(part) && !Object.isFrozen(part)) {
      deepFreeze(part);
    }
  }
  return Object.freeze(value);
}
