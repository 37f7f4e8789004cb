import { randomUUID } from 'node:crypto';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { ClientMqtt, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import type { MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import type { BrokerLink } from '../links/broker-link.js';
import { logConnection, subscribeAll } from '../mqtt/subscribing.js';
import { busReply, parseJson, replyTopic, reviveError } from './bus-packets.js';

/**
 * NestJS's MQTT client on the service bus. It differs in that a reply topic is subscribed once and
 * for good, a refused subscription is an error, ids are unique among all callers, and requests in flight fail
 * at once when the connection is lost.
 */
export class BusClient extends ClientMqtt {
  private readonly client: MqttClient;
  private readonly replies = new Map<string, Promise<void>>();
  private closed = false;

  constructor(
    private readonly link: BrokerLink,
    log: Logger,
  ) {
    super({});
    this.client = link.open('bus-client');
    this.mqttClient = this.client;
    logConnection(this.client, link.address, log);
    this.client.on('message', this.createResponseCallback());
    this.client.on('close', () => {
      // A new connection has a new session: its reply topics are subscribed again by the next request.
      this.replies.clear();
      this.handleClose();
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

  override createClient(): MqttClient {
    return this.client;
  }

  override async close(): Promise<void> {
    if (!this.closed) {
      this.closed = true;
      this.handleClose();
      await this.client.endAsync();
    }
  }

  override handleClose(): void {
    const waiting = [...this.routingMap.values()];
    this.routingMap.clear();
    for (const callback of waiting) {
      callback({ err: new Mqtt2goError('unavailable', `lost the connection to ${this.link.address}`) });
    }
  }

  override createResponseCallback(): (topic: string, payload: Buffer) => void {
    return (_topic, payload) => {
      const reply = busReply.safeParse(parseJson(payload));
      const callback = reply.success ? this.routingMap.get(reply.data.id) : undefined;
      if (reply.success && callback !== undefined) {
        const { err, response } = reply.data;
        callback(err === undefined ? { response, isDisposed: true } : { err: reviveError(err), isDisposed: true });
      }
    };
  }

  protected override publish(request: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    const id = randomUUID();
    const pattern = this.normalizePattern(request.pattern);
    const forget = (): void => {
      this.routingMap.delete(id);
    };
    this.routingMap.set(id, callback);
    this.listenForReplies(replyTopic(pattern))
      .then(() => {
        if (this.routingMap.has(id)) {
          this.client.publish(pattern, JSON.stringify({ pattern, data: request.data, id }), { qos: 1 });
        }
      })
      .catch((err: unknown) => {
        if (this.routingMap.delete(id)) {
          callback({ err });
        }
      });
    return forget;
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
}
