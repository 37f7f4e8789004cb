import { type BrokerLink, BusServer } from '@mqtt2go/messaging';
import type { Clock } from '@mqtt2go/ports';
import { createRegistry, type ServiceHandle, startNestService } from '@mqtt2go/runtime';
import type { Logger } from 'pino';
import type { HomeBroker } from './access/home-brokers.js';
import { TopicGeneratorModule } from './topic-generator.module.js';

export interface TopicGeneratorDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly databaseUrl: string;
  /** Database connections at most. */
  readonly poolSize?: number;
  readonly busLink: BrokerLink;
  /** The brokers that homes are placed on, one at least; homes of before there were several are on the first. */
  readonly homeBrokers: readonly HomeBroker[];
  /** The platform's key-encryption key: 32 bytes in base64. Controllers' passwords are sealed with it. */
  readonly encryptionKey: string;
  /** Share the requests with other replicas; needs a broker with shared subscriptions. */
  readonly sharedBus?: boolean;
  /**
   * Other processes of the service change the same database: a principal is locked while a broker is told of it.
   * As `sharedBus` by default.
   */
  readonly hasReplicas?: boolean;
}

/**
 * Starts the topic generator: which topics devices have, and who may come to the home broker.
 * @throws Mqtt2goError `unavailable` without the database
 */
export async function startTopicGenerator(deps: TopicGeneratorDeps): Promise<ServiceHandle> {
  const { log, busLink, sharedBus = false } = deps;
  const registry = createRegistry('topic-generator');
  return startNestService({
    name: 'topic-generator',
    module: TopicGeneratorModule.forRoot(deps, registry),
    log,
    registry,
    strategies: [new BusServer({ link: busLink, service: 'topic-generator', shared: sharedBus })],
    // Of several, homes on the others go on without the one that is down.
    checks: () =>
      deps.homeBrokers.map(({ name, admin }) => ({
        name: `home broker ${name}`,
        check: () => admin.checkHealth(),
        oneOf: 'home brokers',
      })),
  });
}
