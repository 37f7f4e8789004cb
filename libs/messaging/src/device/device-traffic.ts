import { Mqtt2goError, type Publication } from '@mqtt2go/protocol';
import type { Logger } from 'pino';
import type { BrokerLink } from '../links/broker-link.js';
import { silent } from '../logging/silent.js';
import { endClient } from '../mqtt/ending.js';
import { inTime } from '../mqtt/in-time.js';
import { DeviceClient } from './device-client.js';
import { DeviceServer } from './device-server.js';

export type DeviceMessageHandler = (topic: string, payload: Buffer) => Promise<void>;

export interface DeviceTrafficOptions {
  /** Tells this listener from others over the same link; `devices` by default. */
  readonly clientId?: string;
  /** `persistent`: the broker keeps messages while the service is away, and repeats unacknowledged ones. */
  readonly session?: 'persistent' | 'clean';
  /**
   * `by-topic`: the next message of a topic waits for the one before, and a topic on which too many wait loses some.
   * `of-arrival`: handlers begin in the order of arrival whatever the topic, and the broker is held back.
   */
  readonly order?: 'by-topic' | 'of-arrival';
  /** How many messages are worked on at once, over all topics; 64 by default. */
  readonly concurrency?: number;
  /** Called after each message with how long its handler took, and whether it resolved; for metrics. */
  readonly onHandled?: (durationMs: number, succeeded: boolean) => void;
  /** Larger payloads are dropped; 262,144 by default. */
  readonly maxPayloadBytes?: number;
  /** Replicas share the messages; needs a broker that can. */
  readonly sharing?: Sharing | undefined;
  readonly log?: Logger;
}

/** How the replicas of a service share what comes from a broker. */
export interface Sharing {
  /** Filters become `$share/<group>/…`. */
  readonly group: string;
  /** This process's name, the same after a restart: what the broker keeps for the only one meanwhile is found again. */
  readonly replica: string;
  /**
   * There are others: nothing is kept for one that ends, and one that stops on purpose handles what it was sent. What
   * a killed one had in its hands is asked again.
   */
  readonly handsOver: boolean;
}

/**
 * Ends the session of a listener that is closed, for which the broker would go on to keep messages.
 * @throws Mqtt2goError `unavailable` when the broker cannot be reached
 */
export async function endSession(link: BrokerLink, clientId: string): Promise<void> {
  const client = link.open(clientId, { clean: true, endsSession: true });
  client.on('error', () => undefined);
  try {
    const connected = new Promise<void>((resolve) => client.once('connect', () => resolve()));
    await inTime(connected, link.address);
  } finally {
    await endClient(client);
  }
}

/**
 * The standard's own traffic: raw payloads on the standard's topics. Messages of one topic are handled in their
 * order, those of different topics at the same time, by default; each is acknowledged after its handler.
 */
export class DeviceTraffic {
  private readonly log: Logger;
  private readonly client: DeviceClient;
  private server: DeviceServer | undefined;

  constructor(
    private readonly link: BrokerLink,
    private readonly options: DeviceTrafficOptions = {},
  ) {
    this.log = options.log ?? silent;
    this.client = new DeviceClient(link, `${options.clientId ?? 'devices'}-out`, this.log);
  }

  /**
   * Starts to listen; once. A handler that rejects is logged and its message acknowledged all the same,
   * but for {@link NotTaken}.
   * @throws Mqtt2goError `forbidden` when the broker refuses a filter
   */
  async listen(filters: readonly string[], handler: DeviceMessageHandler): Promise<void> {
    if (this.server !== undefined) {
      throw new Error('DeviceTraffic.listen was called before');
    }
    const server = new DeviceServer(this.link, this.options, this.log);
    this.server = server;
    for (const filter of filters) {
      server.addDeviceHandler(filter, handler);
    }
    await new Promise<void>((resolve, reject) => {
      void server.listen((error?: unknown) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /**
   * Resolves when the broker has the message (QoS 1).
   * @throws Mqtt2goError `unavailable` when it cannot be reached
   */
  async publish(publication: Publication, { qos = 1 }: { qos?: 0 | 1 } = {}): Promise<void> {
    await this.client.publishRaw(publication, qos);
  }

  /** @throws Mqtt2goError `unavailable` while the broker cannot be reached */
  checkHealth(): void {
    if (!this.client.connected || this.server?.connected === false) {
      throw new Mqtt2goError('unavailable', `no connection to ${this.link.address}`);
    }
  }

  /** Waits for the handlers that run, then ends the connections. */
  async close(): Promise<void> {
    await this.server?.close();
    await this.client.close();
  }
}
