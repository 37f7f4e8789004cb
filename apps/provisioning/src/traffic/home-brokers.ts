import { type BrokerLink, DeviceTraffic, type Sharing } from '@mqtt2go/messaging';
import { Mqtt2goError, type Publication } from '@mqtt2go/protocol';
import type { Logger } from 'pino';

/** Where devices are sent: a home's broker, as the outside sees it. */
export interface HomeBrokerAddress {
  /** IP address or host name, no scheme. */
  readonly host: string;
  readonly port: number;
}

/** A home broker, one of several that homes are placed on. */
export interface HomeBroker extends HomeBrokerAddress {
  /** As the topic generator calls it. */
  readonly name: string;
  readonly link: BrokerLink;
  /** How its messages are shared with other replicas; not at all by default. */
  readonly sharing?: Sharing | undefined;
}

interface Heard {
  /** The name of the broker that the message came from. */
  readonly broker: string;
  readonly topic: string;
  readonly payload: Buffer;
}

interface Shard {
  readonly broker: HomeBroker;
  readonly traffic: DeviceTraffic;
}

/** The home brokers and their traffic. One that is not there keeps nobody on the others waiting. */
export class HomeBrokers {
  private readonly shards: readonly Shard[];

  /** @param brokers one at least; what knows of no broker by name is on the first */
  constructor(
    brokers: readonly HomeBroker[],
    private readonly log: Logger,
  ) {
    this.shards = brokers.map((broker) => ({
      broker,
      traffic: new DeviceTraffic(broker.link, { log: log.child({ broker: broker.name }), sharing: broker.sharing }),
    }));
  }

  /**
   * Resolves when one of the brokers is listened to; the others follow when they are there.
   * @throws Mqtt2goError `forbidden` when all brokers refuse a subscription
   */
  async listen(filters: readonly string[], handler: (heard: Heard) => Promise<void>): Promise<void> {
    const listening = this.shards.map(({ broker: { name }, traffic }) =>
      traffic
        .listen(filters, (topic, payload) => handler({ broker: name, topic, payload }))
        .catch((error: unknown) => {
          this.log.error({ err: error, broker: name }, 'a home broker refuses to be listened to');
          throw error;
        }),
    );
    await Promise.any(listening).catch((error: unknown) => {
      throw error instanceof AggregateError ? error.errors[0] : error;
    });
  }

  /**
   * Resolves when the broker has the message.
   * @throws Mqtt2goError `unavailable` when it cannot be reached
   */
  async publish(broker: string | undefined, publication: Publication): Promise<void> {
    await this.find(broker).traffic.publish(publication);
  }

  addressOf(broker: string | undefined): HomeBrokerAddress {
    return this.find(broker).broker;
  }

  /** For each broker, whether it can be reached. */
  get checks(): readonly { readonly name: string; readonly check: () => void }[] {
    return this.shards.map(({ broker, traffic }) => ({ name: broker.name, check: () => traffic.checkHealth() }));
  }

  /** Waits for the messages that are being handled. */
  async close(): Promise<void> {
    await Promise.all(this.shards.map(({ traffic }) => traffic.close()));
  }

  private find(name: string | undefined): Shard {
    const shard = name === undefined ? this.shards[0] : this.shards.find(({ broker }) => broker.name === name);
    if (shard === undefined) throw new Mqtt2goError('internal', `MQTT2GO_BROKERS has no home broker ${name}`);
    return shard;
  }
}
