import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type ServiceName, serviceNames } from '@mqtt2go/access';
import type { EncryptionKey } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import type { Logger } from 'pino';
import type { Enrolling, GatewayIdentity } from '../gateway/enrolment.js';
import { DeploymentIssuer } from './deployment-issuer.js';
import type { Identity } from './identity-files.js';

export interface DeploymentOptions {
  readonly databaseUrl: string;
  readonly encryptionKey: EncryptionKey;
  /** The folder `tls`. */
  readonly tlsDir: string;
  /** The name or address by which devices reach the platform. */
  readonly publicHost: string;
  /** Further names that the servers' certificates are to have; none by default. */
  readonly hostNames?: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  /** For a platform that is to become a gateway of an operator's cloud, at its first start. */
  readonly enrolling?: Enrolling | undefined;
}

/** What is in the folder `tls`; PEM. */
export interface DeploymentFiles {
  /** The root that devices carry as `ca.crt`. */
  readonly ca: string;
  readonly servicesCa: string;
  readonly servers: Readonly<Record<'home-broker' | 'activation-broker' | 'discovery' | 'federation', Identity>>;
  /** `broker` is what the brokers' doors for services show. */
  readonly services: Readonly<Record<ServiceName | 'broker', Identity>>;
  /** How the platform is known at its cloud, if it is an enrolled gateway. */
  readonly gateway: GatewayIdentity | undefined;
}

/**
 * Makes the platform's CAs if the database has none, and everything in the folder `tls` that is missing or has to be
 * renewed. Does nothing when run again.
 * @throws Mqtt2goError `configuration_invalid` when the database's keys are sealed with another encryption key;
 * `unavailable` without the database
 */
export async function initialiseDeployment(options: DeploymentOptions): Promise<DeploymentFiles> {
  const { tlsDir, publicHost, hostNames = [], log } = options;
  const issuer = await DeploymentIssuer.open(options);
  // All that they may be called by on this machine, and from outside.
  const hosts = nameableHosts(['localhost', '127.0.0.1', '::1', hostname(), publicHost, ...hostNames]);
  const keepServer = (name: string): Promise<Identity> =>
    issuer.server({ folder: tlsDir, name, hosts }, publicHost.length <= 64 ? publicHost : name);
  const keepService = (name: ServiceName | 'broker'): Promise<Identity> =>
    issuer.service(name, { folder: join(tlsDir, 'services'), name, hosts });

  await issuer.writeAuthorities(tlsDir);
  // All at once, because one after the other would wait for the disk many times.
  const [servers, services] = await Promise.all([
    keepAll(['home-broker', 'activation-broker', 'discovery', 'federation'], keepServer),
    keepAll([...serviceNames, 'broker'], keepService),
  ]);
  await issuer.writeGateway(tlsDir);
  const { issued, ca, servicesCa } = issuer;
  if (issued.length > 0) log.info({ certificates: issued, hosts }, 'certificates were issued');
  return {
    ca,
    servicesCa,
    servers,
    services,
    gateway: issuer.gateway,
  };
}

async function keepAll<N extends string>(
  names: readonly N[],
  keep: (name: N) => Promise<Identity>,
): Promise<Record<N, Identity>> {
  const identities = await Promise.all(names.map(async (name) => [name, await keep(name)] as const));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one entry per name
  return Object.fromEntries(identities) as Record<N, Identity>;
}

/** Those that a certificate can name, each once. */
export function nameableHosts(hosts: readonly string[]): string[] {
  return [...new Set(hosts.map((name) => name.toLowerCase()))].filter(isHost);
}

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const domainName = new RegExp(`^${label}(\\.${label})*$`);

/** A machine may be called by what is no domain name (with `_`, for example) and cannot be in a certificate. */
function isHost(name: string): boolean {
  return isIP(name) !== 0 || (name.length <= 253 && domainName.test(name));
}
