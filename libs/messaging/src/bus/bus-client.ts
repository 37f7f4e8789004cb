import { randomUUID } from 'node:crypto';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import type { MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import type { BrokerLink } from '../links/broker-link.js';
import { endClient } from '../mqtt/ending.js';
import { forgetUnacknowledged } from '../mqtt/forget-unacknowledged.js';
import { logConnection, subscribeAll } from '../mqtt/subscribing.js';
import { busReply, parseJson, replyTopic, reviveError } from './bus-packets.js';

/**
 * NestJS's client of the service bus. Unlike its ClientMqtt it subscribes a reply topic once and for good, takes a
 * refused subscription for an error, has ids that are unique among all callers, and lets requests in flight
 * fail at once when the connection is lost.
 */
export class BusClient extends ClientProxy {
  private readonly client: MqttClient;
  private readonly waiting = new Map<string, (packet: WritePacket) => void>();
  private readonly replies = new Map<string, Promise<void>>();
  private closed = false;

  constructor(
    private readonly link: BrokerLink,
    log: Logger,
  ) {
    super();
    this.client = link.open('bus-client');
    logConnection(this.client, link.address, log);
    forgetUnacknowledged(this.client);
    this.client.on('message', (_topic, payload) => this.takeReply(payload));
    this.client.on('close', () => {
      // A new connection has a new session: its reply topics are subscribed again by the next request.
      this.replies.clear();
      this.failWaiting();
    });
  }

  /** @throws Mqtt2goError `unavailable` */
  checkConnected(): void {
    if (!this.client.connected || this.closed) {
      throw new Mqtt2goError('unavailable', `no connection to ${this.link.address}`);
    }
  }

  override async connect(): Promise<void> {
    this.checkConnected();
  }

  override async close(): Promise<void> {
    if (!this.closed) {
      this.closed = true;
      this.failWaiting();
      await endClient(this.client);
    }
  }

  override unwrap<T>(): T {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- NestJS leaves the type to the caller
    return this.client as T;
  }

  protected override publish(request: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    const id = randomUUID();
    const pattern = String(request.pattern);
    const data: unknown = request.data;
    const forget = (): void => {
      this.waiting.delete(id);
    };
    this.waiting.set(id, callback);
    this.listenForReplies(replyTopic(pattern))
      .then(() => {
        if (this.waiting.has(id)) {
          this.client.publish(pattern, JSON.stringify({ pattern, data, id }), { qos: 1 });
        }
      })
      .catch((err: unknown) => {
        if (this.waiting.delete(id)) {
          callback({ err });
        }
      });
    return forget;
  }

  protected override dispatchEvent(): Promise<never> {
    throw new Error('the bus has requests only; what must happen goes through an outbox');
  }

  private listenForReplies(topic: string): Promise<void> {
    const existing = this.replies.get(topic);
    if (existing !== undefined) {
      return existing;
    }
    const subscribed = subscribeAll(this.client, [topic]);
    this.replies.set(topic, subscribed);
    subscribed.catch(() => {
      if (this.replies.get(topic) === subscribed) {
        this.replies.delete(topic);
      }
    });
    return subscribed;
  }

  private takeReply(payload: Buffer): void {
    const reply = busReply.safeParse(parseJson(payload));
    if (reply.success) {
      const { id, err, response } = reply.data;
      const answer = err === undefined ? { response } : { err: reviveError(err) };
      this.waiting.get(id)?.({ ...answer, isDisposed: true });
    }
  }

  private failWaiting(): void {
    const callbacks = [...this.waiting.values()];
    this.waiting.clear();
    for (const callback of callbacks) {
      callback({ err: new Mqtt2goError('unavailable', `lost the connection to ${this.link.address}`) });
    }
  }
}
