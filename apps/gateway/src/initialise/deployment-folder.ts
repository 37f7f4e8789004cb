import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  accessBrokerOf,
  brokerFileNames,
  dynsecSnapshot,
  mosquittoFiles,
  type MosquittoRole,
  writeTrustAnchors,
} from '@mqtt2go/broker-admin-mosquitto';
import { DeploymentIssuer, nameableHosts } from '@mqtt2go/certificate-authority';
import {
  type AccessBrokerConfig,
  type BusBrokerConfig,
  type DeploymentConfig,
  type HomeBrokerConfig,
  type RunnableService,
  runnableServices,
  writePlatformFile,
} from '@mqtt2go/config';
import { contracts } from '@mqtt2go/messaging';
import { PUBLIC_FILE_MODE, writeFileAtomically } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import type { Logger } from 'pino';

/** A broker runs as a user of its own, and reads its folder by the group. */
const groupFolderMode = 0o750;
const groupFileMode = 0o640;
/** Under these a deployment is reached on its own machine, by the command line for example. */
const loopback = ['localhost', '127.0.0.1', '::1'];

/** A broker of the deployment that is not the platform's own. */
interface PlannedBroker {
  readonly name: string;
  readonly role: MosquittoRole;
  /** Whether it is for homes with gateways of their own. */
  readonly gateways: boolean;
  /** What services call it. */
  readonly doors: readonly string[];
  /** What devices and controllers call it; the bus knows none. */
  readonly hosts: readonly string[];
}

export interface DeploymentDeps {
  readonly config: DeploymentConfig;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The brokers that get a folder, by their names. */
export function plannedBrokers({
  brokers,
  publicHost,
}: Pick<DeploymentConfig, 'brokers' | 'publicHost'>): readonly PlannedBroker[] {
  const { bus, activation, home } = brokers;
  const plan = (
    name: string,
    role: MosquittoRole,
    broker: BusBrokerConfig | AccessBrokerConfig | HomeBrokerConfig,
  ): PlannedBroker[] => {
    if (broker.kind !== 'mosquitto') return [];
    const doors = broker.urls.map(hostOf);
    const gateways = 'gateways' in broker && broker.gateways;
    return [{ name, role, gateways, doors, hosts: 'host' in broker ? [...toldHosts(broker), publicHost] : [] }];
  };
  return [
    ...plan('bus', 'bus', bus),
    ...plan('activation', 'activation', activation),
    ...home.flatMap((broker) => plan(broker.name, 'home', broker)),
  ];
}

function toldHosts(broker: AccessBrokerConfig | HomeBrokerConfig): string[] {
  const urls = 'controllerUrl' in broker ? [broker.controllerUrl, broker.controllerWebSocketUrl] : [];
  return [broker.host, ...urls.flatMap((url) => (url === undefined ? [] : [hostOf(url)]))];
}

/** Without the brackets of an IPv6 address. */
function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}

/**
 * Writes everything that the processes of a deployment read from files, each process's in a folder of its own; makes
 * the CAs first if the database has none. What is there and good stays; what runs may go on running.
 * @throws Mqtt2goError `configuration_invalid` when the database's keys are sealed with another encryption key;
 * `unavailable` without the database
 */
export async function writeDeployment({ config, clock, log }: DeploymentDeps): Promise<void> {
  const { databaseUrl, encryptionKey, deploymentDir: root } = config;
  const issuer = await DeploymentIssuer.open({ databaseUrl, encryptionKey, clock, log });
  for (const service of runnableServices) await writeService(issuer, service, config);
  const brokers = plannedBrokers(config);
  for (const broker of brokers) await writeBroker(issuer, broker, join(root, 'brokers', broker.name));
  await writeOperator(issuer, config, clock);
  const { issued } = issuer;
  log.info({ folder: root, brokers: brokers.map(({ name }) => name), issued }, 'the deployment is in order');
}

/** The folder works as the service's MQTT2GO_TLS_DIR, and holds no other's key. */
async function writeService(
  issuer: DeploymentIssuer,
  service: RunnableService,
  config: DeploymentConfig,
): Promise<void> {
  const folder = join(config.deploymentDir, 'services', service);
  await issuer.writeAuthorities(folder);
  const hosts = nameableHosts([service, ...loopback]);
  await issuer.service(service, { folder: join(folder, 'services'), name: service, hosts });
  if (service !== 'discovery' && service !== 'federation') return;
  const told = hostOf(service === 'discovery' ? config.discoveryUrl : config.federationUrl);
  const reached = nameableHosts([told, config.publicHost, ...hosts]);
  await issuer.server({ folder, name: service, hosts: reached });
}

/** The folder is what the broker sees as /mosquitto/config. */
async function writeBroker(issuer: DeploymentIssuer, broker: PlannedBroker, folder: string): Promise<void> {
  const { name, role, gateways } = broker;
  await makeFolder(folder);
  const door = { folder, name: 'services', keyMode: groupFileMode };
  await issuer.service('broker', { ...door, hosts: nameableHosts([...broker.doors, ...loopback]) });
  const files: Record<string, string> = {
    ...mosquittoFiles({ name, role, gateways, contracts }),
    [brokerFileNames.servicesCa]: issuer.servicesCa,
  };
  if (role !== 'bus') {
    const front = { folder, name: 'server', keyMode: groupFileMode };
    await issuer.server({ ...front, hosts: nameableHosts([...broker.hosts, ...loopback]) });
    await writeAccess(role, gateways, folder);
  }
  if (role === 'home') {
    const devicesCa = brokerFileNames.devicesCa;
    files[devicesCa] = issuer.devicesCa(await readIfThere(join(folder, devicesCa)));
  }
  for (const [file, content] of Object.entries(files)) await writeIfOther(join(folder, file), content);
}

/** What a broker starts with before a service has told it anything: nobody may do anything. */
async function writeAccess(role: 'home' | 'activation', gateways: boolean, folder: string): Promise<void> {
  const snapshot = join(folder, brokerFileNames.snapshot);
  await makeFolder(dirname(snapshot));
  if ((await readIfThere(snapshot)) === undefined) {
    await writeFileAtomically(snapshot, await dynsecSnapshot([], accessBrokerOf(role, gateways)), PUBLIC_FILE_MODE);
  }
  if (role !== 'activation' && !gateways) return;
  const trust = join(folder, brokerFileNames.trust);
  // One that is there has what a service wrote.
  if (!existsSync(trust)) await writeTrustAnchors(trust, []);
}

/** For the command line: `MQTT2GO_DATA_DIR=<this folder> mqtt2go ...`. */
async function writeOperator(issuer: DeploymentIssuer, config: DeploymentConfig, clock: Clock): Promise<void> {
  const { brokers, federationUrl, ports, publicHost } = config;
  const folder = join(config.deploymentDir, 'operator');
  await issuer.writeAuthorities(folder);
  await issuer.service('operator', { folder: join(folder, 'services'), name: 'operator', hosts: ['localhost'] });
  const [home] = brokers.home;
  if (home === undefined) throw new Error('unreachable: a configuration has a home broker');
  const webSocket = home.controllerWebSocketUrl;
  await writePlatformFile(folder, {
    host: publicHost,
    ports: {
      home: home.port,
      homeWss: webSocket === undefined ? ports.homeWss : Number(new URL(webSocket).port || 443),
      activation: brokers.activation.port,
      discovery: ports.discovery,
      federation: Number(new URL(federationUrl).port || 443),
      bus: ports.bus,
      health: ports.health,
    },
    // Published on this machine's loopback address only, if at all.
    busUrl: `mqtts://127.0.0.1:${ports.bus}`,
    controllerUrl: home.controllerUrl,
    tlsDir: '.',
    pid: process.pid,
    startedAt: new Date(clock.now()).toISOString(),
  });
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: groupFolderMode });
  // Of a volume's root the mode may be another's to say.
  await chmod(folder, groupFolderMode).catch(() => undefined);
}

/** A broker that watches its files is not disturbed for nothing. */
async function writeIfOther(file: string, content: string): Promise<void> {
  if ((await readIfThere(file)) !== content) await writeFileAtomically(file, content, groupFileMode);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
