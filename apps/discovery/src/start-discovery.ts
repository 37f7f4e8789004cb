import { type BrokerLink, BusServer, type Sharing } from '@mqtt2go/messaging';
import type { RevisionRegistry } from '@mqtt2go/plugin-api';
import type { BrokerAdmin, Clock } from '@mqtt2go/ports';
import {
  createRegistry,
  type NestServiceHandle,
  type RestListener,
  type ServiceHandle,
  serviceRest,
  startNestService,
} from '@mqtt2go/runtime';
import type { Logger } from 'pino';
import { ActivationTraffic } from './claiming/activation-traffic.js';
import { DiscoveryModule } from './discovery.module.js';
import { discoveryApi } from './rest/discovery-api.js';

export interface DiscoveryDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly databaseUrl: string;
  /** Database connections at most. */
  readonly poolSize?: number;
  readonly busLink: BrokerLink;
  readonly activationLink: BrokerLink;
  /** The activation broker's access; the caller's to close. */
  readonly brokerAdmin: BrokerAdmin;
  /** 32 bytes in base64: what bundles are encrypted with at rest. */
  readonly encryptionKey: string;
  /** A plugin host with the revisions that are spoken; the caller's to start and stop. */
  readonly plugins: { readonly revisions: RevisionRegistry };
  /** The Discovery server's REST side. Without one, announcements come over the bus, and devices to the home's own port. */
  readonly rest?: RestListener | undefined;
  /** Share the bus's requests with other replicas; needs a broker with shared subscriptions. */
  readonly sharedBus?: boolean;
  /** How the activation broker's messages are shared with other replicas; not at all by default. */
  readonly activationSharing?: Sharing | undefined;
  /**
   * Other processes of the service change the same database: a principal is locked while the broker is told of it.
   * As `sharedBus` by default.
   */
  readonly hasReplicas?: boolean;
  /** How often expired activations are removed; every 5 seconds by default. */
  readonly sweepIntervalMs?: number;
}

export interface DiscoveryHandle extends Pick<NestServiceHandle, keyof ServiceHandle | 'setIdentity'> {
  /** The bound port of the REST side, if there is one. */
  readonly restPort: number | undefined;
}

/**
 * Starts the Discovery server: devices that wait for their activation, over REST or the bus, and on the activation broker.
 * @throws Mqtt2goError `port_in_use`; `unavailable` without the database; `configuration_invalid` for the encryption key
 */
export async function startDiscovery(deps: DiscoveryDeps): Promise<DiscoveryHandle> {
  const { log, clock, busLink, rest, sharedBus = false } = deps;
  const registry = createRegistry('discovery');
  const service = await startNestService({
    name: 'discovery',
    module: DiscoveryModule.forRoot(deps, registry),
    log,
    registry,
    strategies: [new BusServer({ link: busLink, service: 'discovery', shared: sharedBus })],
    checks: (app) => {
      const traffic = app.get(ActivationTraffic);
      return [{ name: 'activation broker', check: () => traffic.checkHealth() }];
    },
    ...(rest && {
      http: serviceRest(rest, discoveryApi, { now: () => clock.now(), log: log.child({ service: 'discovery' }) }),
    }),
  });
  return { ...service, restPort: service.httpPort };
}
