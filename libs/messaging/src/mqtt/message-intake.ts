import type { IPublishPacket, MqttClient, Packet } from 'mqtt';
import type { Logger } from 'pino';

export interface MessageIntakeOptions {
  /** How many handlers may run at once; beyond it the broker is held back. */
  readonly concurrency: number;
  /** Messages of one topic are handled one after the other, in the order in which they came. */
  readonly orderedByTopic: boolean;
  /** With `orderedByTopic`: how many may wait on one topic; what is beyond is dropped (and acknowledged). */
  readonly backlogPerTopic?: number;
  readonly handle: (topic: string, payload: Buffer, packet: IPublishPacket) => Promise<void>;
  readonly log: Logger;
}

/**
 * Thrown by a handler that cannot take its message: it stays unacknowledged, and so does all that came after it, for the
 * session's next connection.
 */
export class NotTaken extends Error {}

/** What came in at a client and is not done. */
export interface IntakeBacklog {
  /** The client's id at its broker. */
  readonly client: string;
  readonly running: number;
  readonly waiting: number;
}

const intakes = new Set<MessageIntake>();

/** Of all clients of this process. */
export function intakeBacklogs(): IntakeBacklog[] {
  return [...intakes].map((intake) => intake.backlog());
}

interface Delivery {
  readonly packet: IPublishPacket;
  /** Of the connection it came on; on another one the message id means something else. */
  readonly stream: MqttClient['stream'];
  /** Set for QoS 1. */
  readonly messageId: number | undefined;
  state: 'waiting' | 'running' | 'left' | 'finished';
}

/**
 * Takes a client's messages out of mqtt.js's own loop, so that the PUBACK goes out after the handler.
 *
 * mqtt.js would wait with the PUBACK too when `handleMessage` waits, but it reads nothing else
 * meanwhile: neither the next message nor the PUBACK for what the handler itself publishes. So each
 * QoS 1 message is handed to mqtt.js as QoS 0 (it then sends no PUBACK) and the four bytes of the PUBACK
 * are written here, in the order of arrival as MQTT-4.6.0-2 wants it, and only on the connection
 * that the message came on. After a reconnect the broker sends again what was not acknowledged.
 */
export class MessageIntake {
  private readonly messageIds = new WeakMap<IPublishPacket, number>();
  private readonly unacknowledged: Delivery[] = [];
  private readonly waiting: Delivery[] = [];
  private readonly topics = new Map<string, Delivery[]>();
  private readonly heldBack: (() => void)[] = [];
  private readonly idleListeners: (() => void)[] = [];
  private running = 0;
  private stopped = false;
  private count = 0;

  constructor(
    private readonly client: MqttClient,
    private readonly options: MessageIntakeOptions,
  ) {
    intakes.add(this);
    client.on('packetreceive', (packet) => this.takeOverAcknowledgement(packet));
    client.handleMessage = (packet, done) => this.take(packet, () => done());
    client.on('close', () => {
      this.unacknowledged.length = 0;
    });
  }

  /** How many messages have come, handled or not. */
  get taken(): number {
    return this.count;
  }

  /** Resolves when nothing is being handled and nothing waits for it. */
  async idle(): Promise<void> {
    if (this.running > 0) {
      await new Promise<void>((resolve) => this.idleListeners.push(resolve));
    }
  }

  backlog(): IntakeBacklog {
    const inLines = [...this.topics.values()].reduce((sum, line) => sum + line.length, 0);
    const client = this.client.options.clientId ?? '';
    return { client, running: this.running, waiting: this.waiting.length + inLines };
  }

  /** Starts no further handler; resolves when those that run have ended and are acknowledged. */
  async stop(): Promise<void> {
    intakes.delete(this);
    this.stopped = true;
    this.waiting.length = 0;
    this.topics.clear();
    // What has not begun stays unacknowledged, and must not keep back the acknowledgement of what has.
    this.unacknowledged.splice(0, Infinity, ...this.unacknowledged.filter(({ state }) => state !== 'waiting'));
    this.releaseBroker();
    await this.idle();
  }

  private takeOverAcknowledgement(packet: Packet): void {
    if (packet.cmd === 'publish' && packet.qos === 1 && packet.messageId !== undefined) {
      this.messageIds.set(packet, packet.messageId);
      packet.qos = 0;
    }
  }

  private take(packet: IPublishPacket, next: () => void): void {
    if (this.stopped) {
      next();
      return;
    }
    this.count += 1;
    const messageId = this.messageIds.get(packet);
    const delivery: Delivery = { packet, stream: this.client.stream, messageId, state: 'waiting' };
    if (messageId !== undefined) {
      this.unacknowledged.push(delivery);
    }
    this.enqueue(delivery);
    if (this.running + this.waiting.length < this.options.concurrency) {
      next();
    } else {
      this.heldBack.push(next);
    }
  }

  private enqueue(delivery: Delivery): void {
    if (!this.options.orderedByTopic) {
      this.startOrWait(delivery);
      return;
    }
    const { topic } = delivery.packet;
    const line = this.topics.get(topic);
    if (line === undefined) {
      this.topics.set(topic, []);
      this.startOrWait(delivery);
    } else if (line.length < (this.options.backlogPerTopic ?? Number.POSITIVE_INFINITY)) {
      line.push(delivery);
    } else {
      this.options.log.warn({ topic, waiting: line.length }, 'message dropped: too many wait on its topic');
      this.finish(delivery);
    }
  }

  private startOrWait(delivery: Delivery): void {
    if (this.running < this.options.concurrency) {
      this.run(delivery);
    } else {
      this.waiting.push(delivery);
    }
  }

  private run(delivery: Delivery): void {
    this.running += 1;
    delivery.state = 'running';
    const { topic, payload } = delivery.packet;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    void Promise.resolve()
      .then(() => this.options.handle(topic, bytes, delivery.packet))
      .catch((error: unknown) => {
        if (error instanceof NotTaken) delivery.state = 'left';
        else this.options.log.error({ err: error, topic }, 'a message could not be handled');
      })
      .then(() => this.afterRun(delivery));
  }

  private afterRun(delivery: Delivery): void {
    this.running -= 1;
    if (delivery.state !== 'left') this.finish(delivery);
    this.continueTopic(delivery.packet.topic);
    while (!this.stopped && this.running < this.options.concurrency) {
      const next = this.waiting.shift();
      if (next === undefined) {
        break;
      }
      this.run(next);
    }
    this.releaseBroker();
    if (this.running === 0) {
      for (const resolve of this.idleListeners.splice(0)) {
        resolve();
      }
    }
  }

  private continueTopic(topic: string): void {
    const line = this.topics.get(topic);
    const next = line?.shift();
    if (next !== undefined) {
      this.startOrWait(next);
    } else if (line !== undefined) {
      this.topics.delete(topic);
    }
  }

  private releaseBroker(): void {
    if (this.stopped || this.running + this.waiting.length < this.options.concurrency) {
      for (const next of this.heldBack.splice(0)) {
        next();
      }
    }
  }

  private finish(delivery: Delivery): void {
    delivery.state = 'finished';
    while (this.unacknowledged[0]?.state === 'finished') {
      const { stream, messageId } = this.unacknowledged.shift() ?? delivery;
      if (messageId !== undefined && stream === this.client.stream && this.client.connected) {
        stream.write(Buffer.of(0x40, 0x02, messageId >> 8, messageId & 0xff));
      }
    }
  }
}
