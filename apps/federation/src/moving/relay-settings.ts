import type { BrokerLink } from '@mqtt2go/messaging';
import type { SubscriptionNotices } from '@mqtt2go/ports';
import type { Logger } from 'pino';

export interface RelayBroker {
  /** As the topic generator calls it. */
  readonly name: string;
  readonly link: BrokerLink;
  /** Undefined where the broker does not tell who has subscribed. */
  readonly notices: SubscriptionNotices | undefined;
}

export class RelaySettings {
  constructor(
    readonly brokers: readonly RelayBroker[],
    readonly log: Logger,
  ) {}
}
