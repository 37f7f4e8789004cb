import { type BrokerLink, BusServer } from '@mqtt2go/messaging';
import type { BrokerAdmin, Clock } from '@mqtt2go/ports';
import { type ServiceHandle, startNestService } from '@mqtt2go/runtime';
import type { Logger } from 'pino';
import { TopicGeneratorModule } from './topic-generator.module.js';

export interface TopicGeneratorDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly databaseUrl: string;
  /** Database connections at most. */
  readonly poolSize?: number;
  readonly busLink: BrokerLink;
  /** The home broker's access; the caller's to close. */
  readonly brokerAdmin: BrokerAdmin;
  /** The platform's key-encryption key: 32 bytes in base64. Controllers' passwords are sealed with it. */
  readonly encryptionKey: string;
  /** What a new controller is told to connect to, such as `wss://localhost:8884`. */
  readonly controllerUrl: string;
  /** Share the requests with other replicas; needs a broker with shared subscriptions. */
  readonly sharedBus?: boolean;
  /**
   * Other processes of the service change the same database, so that what a broker was told is read back each time.
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
  return startNestService({
    name: 'topic-generator',
    module: TopicGeneratorModule.forRoot(deps),
    log,
    strategies: [new BusServer({ link: busLink, service: 'topic-generator', shared: sharedBus })],
    checks: () => [{ name: 'home broker', check: () => deps.brokerAdmin.checkHealth() }],
  });
}
