import { type BrokerLink, BusServer } from '@mqtt2go/messaging';
import type { EncryptionKey } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import { createRegistry, type ServiceHandle, startNestService } from '@mqtt2go/runtime';
import type { Logger } from 'pino';
import { CertificateAuthorityModule } from './certificate-authority.module.js';

export interface CertificateAuthorityDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly databaseUrl: string;
  /** Database connections at most. */
  readonly poolSize?: number;
  readonly busLink: BrokerLink;
  /** 32 bytes, as such or in base64: what the keys are sealed with at rest. */
  readonly encryptionKey: EncryptionKey;
  /** Share the requests with other replicas; needs a broker with shared subscriptions. */
  readonly sharedBus?: boolean;
}

/**
 * Starts the certificate authority. On the first start in a database it makes its CAs.
 * @throws Mqtt2goError `configuration_invalid` when the database's keys are sealed with another encryption key;
 * `unavailable` without the database
 */
export async function startCertificateAuthority(deps: CertificateAuthorityDeps): Promise<ServiceHandle> {
  const { log, busLink, sharedBus = false } = deps;
  const name = 'certificate-authority';
  const registry = createRegistry(name);
  return startNestService({
    name,
    module: CertificateAuthorityModule.forRoot(deps, registry),
    log,
    strategies: [new BusServer({ link: busLink, service: name, shared: sharedBus })],
    registry,
  });
}
