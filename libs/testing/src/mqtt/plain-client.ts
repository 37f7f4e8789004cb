import type { Duplex } from 'node:stream';
import { encodeConnect, encodePublish, encodeSubscribe, encodeUnsubscribe, PacketReader } from './plain-packets.js';

export interface PlainClientOptions {
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
}

export interface PlainMessage {
  readonly topic: string;
  readonly payload: string;
}

/**
 * An MQTT 3.1.1 client that sends whatever it is told, topics that are none included, as many at once as one likes. It does
 * not come back by itself.
 */
export class PlainClient {
  /** All that it got. */
  readonly received: PlainMessage[] = [];
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;
  isOpen = true;
  readonly #stream: Duplex;
  readonly #waiting = new Map<string, (code: number | undefined) => void>();
  readonly #awaited = new Map<string, () => void>();
  #messageId = 0;

  private constructor(stream: Duplex) {
    this.#stream = stream;
    const reader = new PacketReader();
    stream.on('data', (chunk: Buffer) => {
      for (const packet of reader.read(chunk)) {
        if (packet.kind === 'message') this.#got(packet);
        else this.#settle(packet.kind, packet.messageId, packet.code);
      }
    });
    stream.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      stream.once('close', () => {
        this.isOpen = false;
        for (const settle of this.#waiting.values()) settle(undefined);
        this.#waiting.clear();
        resolve();
      });
    });
  }

  /** @throws Error when it is not let in */
  static async connect(stream: Duplex, options: PlainClientOptions): Promise<PlainClient> {
    const client = new PlainClient(stream);
    const code = await client.#ask('connack', 0, encodeConnect(options));
    if (code === 0) return client;
    stream.destroy();
    throw new Error(code === undefined ? 'the connection has ended' : `not let in: ${code}`);
  }

  /** True if granted; false if refused, or if the connection has ended over it. */
  async subscribe(filter: string): Promise<boolean> {
    const messageId = this.#nextId();
    const code = await this.#ask('suback', messageId, encodeSubscribe(messageId, filter));
    return code !== undefined && code <= 2;
  }

  async unsubscribe(filter: string): Promise<void> {
    const messageId = this.#nextId();
    await this.#ask('unsuback', messageId, encodeUnsubscribe(messageId, filter));
  }

  /** Publishes with QoS 1. True if it was acknowledged, which says nothing of whether it was let through. */
  async publish(topic: string, payload: string): Promise<boolean> {
    const messageId = this.#nextId();
    return (await this.#ask('puback', messageId, encodePublish(messageId, topic, payload))) !== undefined;
  }

  /** Resolves when a message with this payload is there; rejects when the connection ends first. */
  async receives(payload: string): Promise<void> {
    if (this.received.some((message) => message.payload === payload)) return;
    const arrived = new Promise<boolean>((resolve) => this.#awaited.set(payload, () => resolve(true)));
    if ((await Promise.race([arrived, this.ended])) !== true) throw new Error(`the connection ended before ${payload}`);
  }

  async close(): Promise<void> {
    this.#stream.destroy();
    await this.ended;
  }

  #ask(kind: string, messageId: number, packet: Buffer): Promise<number | undefined> {
    if (!this.isOpen) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting.set(`${kind} ${messageId}`, resolve);
      this.#stream.write(packet);
    });
  }

  #settle(kind: string, messageId: number, code: number): void {
    const name = `${kind} ${messageId}`;
    this.#waiting.get(name)?.(code);
    this.#waiting.delete(name);
  }

  #got(message: PlainMessage): void {
    this.received.push({ topic: message.topic, payload: message.payload });
    this.#awaited.get(message.payload)?.();
    this.#awaited.delete(message.payload);
  }

  #nextId(): number {
    this.#messageId = (this.#messageId % 65_535) + 1;
    return this.#messageId;
  }
}
