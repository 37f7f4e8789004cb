import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ServiceName } from '@mqtt2go/access';
import { openDataSource } from '@mqtt2go/persistence';
import { type EncryptionKey, PUBLIC_FILE_MODE, SecretBox, writeFileAtomically } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import type { Logger } from 'pino';
import { Authorities } from '../authority/authorities.js';
import { databaseOptions } from '../database-options.js';
import { type Identity, type IdentityRequest, keepIdentity } from './identity-files.js';

export interface DeploymentOptions {
  readonly databaseUrl: string;
  readonly encryptionKey: EncryptionKey;
  /** The folder `tls`. */
  readonly tlsDir: string;
  /** The name or address by which devices reach the platform. */
  readonly publicHost: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is in the folder `tls`; PEM. */
export interface DeploymentFiles {
  /** The root that devices carry as `ca.crt`. */
  readonly ca: string;
  readonly servicesCa: string;
  readonly servers: Readonly<Record<'home-broker' | 'activation-broker' | 'discovery', Identity>>;
  /** `broker` is what the brokers' doors for services show. */
  readonly services: Readonly<Record<ServiceName | 'broker', Identity>>;
}

/**
 * Makes the platform's CAs if the database has none, and everything in the folder `tls` that is missing or has to be
 * renewed. Does nothing when run again.
 * @throws Mqtt2goError `configuration_invalid` when the database's keys are sealed with another encryption key;
 * `unavailable` without the database
 */
export async function initialiseDeployment(options: DeploymentOptions): Promise<DeploymentFiles> {
  const { tlsDir, encryptionKey, clock, log } = options;
  const box = new SecretBox(encryptionKey);
  const dataSource = await openDataSource({ ...databaseOptions(options), poolSize: 1 });
  const authorities = await Authorities.open(dataSource, box, clock).finally(() => dataSource.destroy());
  const { root, server, services: servicesAuthority } = authorities;
  const nowMs = clock.now();
  const hosts = hostNames(options.publicHost);

  const issued: string[] = [];
  const keep = async (request: Omit<IdentityRequest, 'hosts' | 'nowMs'>): Promise<Identity> => {
    const { identity, isNew } = await keepIdentity({ ...request, hosts, nowMs });
    if (isNew) issued.push(request.name);
    return identity;
  };
  const keepServer = (name: string) => {
    const commonName = options.publicHost.length <= 64 ? options.publicHost : name;
    const issue: IdentityRequest['issue'] = (publicKey) => server.issueServer({ commonName, hosts, publicKey, nowMs });
    return keep({ folder: tlsDir, name, authority: server, issue });
  };
  const keepService = (name: ServiceName | 'broker') => {
    const issue: IdentityRequest['issue'] = (publicKey) =>
      servicesAuthority.issueService({ service: name, hosts, publicKey, nowMs });
    return keep({ folder: join(tlsDir, 'services'), name, authority: servicesAuthority, issue });
  };

  await writeFileAtomically(join(tlsDir, 'ca.crt'), root.certificate, PUBLIC_FILE_MODE);
  await writeFileAtomically(join(tlsDir, 'services-ca.crt'), servicesAuthority.certificate, PUBLIC_FILE_MODE);
  // All at once, because one after the other would wait for the disk eighteen times.
  const [homeBroker, activationBroker, discoveryServer, discovery, provisioning, authority, topics, operator, broker] =
    await Promise.all([
      keepServer('home-broker'),
      keepServer('activation-broker'),
      keepServer('discovery'),
      keepService('discovery'),
      keepService('provisioning'),
      keepService('certificate-authority'),
      keepService('topic-generator'),
      keepService('operator'),
      keepService('broker'),
    ]);
  if (issued.length > 0) log.info({ certificates: issued.toSorted(), hosts }, 'certificates were issued');
  return {
    ca: root.certificate,
    servicesCa: servicesAuthority.certificate,
    servers: { 'home-broker': homeBroker, 'activation-broker': activationBroker, discovery: discoveryServer },
    services: {
      discovery,
      provisioning,
      'certificate-authority': authority,
      'topic-generator': topics,
      operator,
      broker,
    },
  };
}

/** What the servers' certificates have to name: all that they may be called by on this machine, and from outside. */
function hostNames(publicHost: string): string[] {
  const names = ['localhost', '127.0.0.1', '::1', hostname(), publicHost].map((name) => name.toLowerCase());
  return [...new Set(names)].filter(isHost);
}

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const domainName = new RegExp(`^${label}(\\.${label})*$`);

/** A machine may be called by what is no domain name (with `_`, for example) and cannot be in a certificate. */
function isHost(name: string): boolean {
  return isIP(name) !== 0 || (name.length <= 253 && domainName.test(name));
}
