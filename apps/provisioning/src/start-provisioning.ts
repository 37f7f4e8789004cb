import { type BrokerLink, BusServer } from '@mqtt2go/messaging';
import type { RevisionRegistry } from '@mqtt2go/plugin-api';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError, type OnboardingStateName } from '@mqtt2go/protocol';
import { createRegistry, type ServiceHandle, startNestService } from '@mqtt2go/runtime';
import type { Logger } from 'pino';
import { Announcer } from './announcing/announcer.js';
import type { DiscoveryAccess } from './announcing/discovery-client.js';
import type { NetworkAccess } from './network/networks.js';
import { ProvisioningModule } from './provisioning.module.js';
import { type HomeBroker, HomeBrokers } from './traffic/home-brokers.js';

export interface ProvisioningDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly databaseUrl: string;
  /** Database connections at most; 2 at least, as one is held while the outbox works. */
  readonly poolSize?: number;
  readonly busLink: BrokerLink;
  /** The brokers that homes are placed on, one at least; homes of before there were several are on the first. */
  readonly homeBrokers: readonly HomeBroker[];
  /** The Discovery server's REST side; where there is none, devices are announced over the bus. */
  readonly discovery?: DiscoveryAccess | undefined;
  /** The platform's key-encryption key, 32 bytes. */
  readonly encryptionKey: Uint8Array;
  /** A plugin host with the revisions that are spoken; the caller's to start and stop. */
  readonly plugins: { readonly revisions: RevisionRegistry };
  /** How devices are let into the Wi-Fi, where there is a gateway in the house; the caller's to start and stop. */
  readonly network?: NetworkAccess | undefined;
  /** Share the bus's requests with other replicas; needs a broker with shared subscriptions. */
  readonly sharedBus?: boolean;
  /** Called after each transition's commit, before anything that follows from it. */
  readonly onPersisted?: (state: OnboardingStateName, onboardingId: string) => Promise<void> | void;
}

export interface ProvisioningHandle extends ServiceHandle {
  /** Comes to the Discovery server with a renewed certificate (PEM, with its chain) from now on. */
  useIdentity(identity: { readonly cert: string; readonly key: string }): Promise<void>;
}

/**
 * Starts provisioning: takes controllers' and devices' requests at the home broker and drives each onboarding.
 * Onboardings that an earlier process left half-way go on at once.
 * @throws Mqtt2goError `unavailable` without the database; `forbidden` when a broker refuses a subscription
 */
export async function startProvisioning(deps: ProvisioningDeps): Promise<ProvisioningHandle> {
  const { log, busLink, sharedBus = false } = deps;
  const registry = createRegistry('provisioning');
  const service = await startNestService({
    name: 'provisioning',
    module: ProvisioningModule.forRoot({ ...deps, log: log.child({ service: 'provisioning' }) }, registry),
    log,
    registry,
    strategies: [new BusServer({ link: busLink, service: 'provisioning', shared: sharedBus })],
    checks: (app) => {
      const brokers = app.get(HomeBrokers);
      return [
        // Of several, homes on the others go on without the one that is down.
        ...brokers.checks.map(({ name, check }) => ({ name: `home broker ${name}`, check, oneOf: 'home brokers' })),
        { name: 'revisions', check: () => checkRevisions(deps.plugins.revisions) },
      ];
    },
  });
  const announcer = service.app.get(Announcer);
  return {
    ...service,
    useIdentity: (identity) => announcer.useIdentity(identity),
  };
}

/** @throws Mqtt2goError `plugin_failed` */
function checkRevisions({ wires }: RevisionRegistry): void {
  if (wires.length === 0) throw new Mqtt2goError('plugin_failed', 'no plugin speaks a revision of the standard');
}
