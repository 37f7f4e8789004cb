import { Readable } from 'node:stream';
import type { AedesPublishPacket, Client, PublishPacket, Subscription } from 'aedes';
import { type BrokerLimits, queueOfServices } from '../broker-limits.js';
import { OutgoingQueue, type OutgoingPacket } from './outgoing-queue.js';
import { RetainedMessages } from './retained-messages.js';
import { TopicTree } from './topic-tree.js';

/** What aedes passes for a client: the client itself, or its id alone. */
type ClientRef = Pick<Client, 'id'> | Client;
type StoredSubscription = Pick<Subscription, 'topic' | 'qos' | 'rh' | 'rap' | 'nl'>;
type QueuedFor = StoredSubscription & { readonly clientId: string };

interface Session {
  readonly subscriptions: Map<string, StoredSubscription>;
  readonly outgoing: OutgoingQueue;
  /** QoS 2 messages received and not yet released, by packet identifier. */
  readonly incoming: Map<number, PublishPacket>;
}

export interface SessionStoreOptions {
  readonly limits: BrokerLimits;
  /** Services' sessions keep more, and are not given up for others'. */
  readonly isService: (clientId: string) => boolean;
  /** aedes hands over all subscriptions of a packet, the refused ones too. */
  readonly maySubscribe: (client: Client, filter: string) => boolean;
}

/**
 * aedes' persistence in memory, with bounds on all that a client can fill. The broker's copy of sessions
 * may be lost at any time: devices and controllers ask again.
 */
export class SessionStore {
  readonly #limits: BrokerLimits;
  readonly #isService: SessionStoreOptions['isService'];
  readonly #maySubscribe: SessionStoreOptions['maySubscribe'];
  readonly #sessions = new Map<string, Session>();
  readonly #tree = new TopicTree<QueuedFor>();
  readonly #retained: RetainedMessages;
  /** Ids of sessions without a connection, the longest first. */
  readonly #offline = new Set<string>();

  constructor({ limits, isService, maySubscribe }: SessionStoreOptions) {
    this.#isService = isService;
    this.#limits = limits;
    this.#maySubscribe = maySubscribe;
    this.#retained = new RetainedMessages(limits.maxRetainedMessages, limits.maxRetainedBytes);
  }

  /** Sessions kept, connected or not. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Forgets a session and all that waits in it. */
  forget(clientId: string): void {
    const session = this.#sessions.get(clientId);
    this.#offline.delete(clientId);
    if (session === undefined) return;
    for (const topic of session.subscriptions.keys()) this.#tree.delete(topic, clientId);
    this.#sessions.delete(clientId);
  }

  /** Forgets a session that is without a connection and in which nothing waits. */
  forgetIdle(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (this.#offline.has(clientId) && session?.outgoing.size === 0 && session.incoming.size === 0)
      this.forget(clientId);
  }

  connected(clientId: string): void {
    this.#offline.delete(clientId);
  }

  disconnected(clientId: string): void {
    if (!this.#sessions.has(clientId) || this.#isService(clientId)) return;
    this.#offline.add(clientId);
    for (const longest of this.#offline) {
      if (this.#offline.size <= this.#limits.maxOfflineSessions) break;
      this.forget(longest);
    }
  }

  /** Takes a message back that this client must not get. */
  discard(clientId: string, brokerCounter: number): void {
    this.#sessions.get(clientId)?.outgoing.discard(brokerCounter);
  }

  // From here on: what aedes calls. It refuses a `setup` that is not an async function.
  async setup(): Promise<void> {}

  async storeRetained(packet: AedesPublishPacket): Promise<void> {
    this.#retained.store(packet);
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(this.#retained.match(filters));
  }

  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter]);
  }

  async addSubscriptions(client: Client, subscriptions: readonly Subscription[]): Promise<void> {
    const session = this.#open(client.id);
    for (const { topic, qos, rh, rap, nl } of subscriptions) {
      if (!this.#maySubscribe(client, topic)) continue;
      session.subscriptions.set(topic, { topic, qos, rh, rap, nl });
      if (qos > 0) this.#tree.set(topic, client.id, { topic, qos, rh, rap, nl, clientId: client.id });
      else this.#tree.delete(topic, client.id);
    }
  }

  async removeSubscriptions(client: ClientRef, topics: readonly string[]): Promise<void> {
    const session = this.#sessions.get(client.id);
    for (const topic of topics) {
      session?.subscriptions.delete(topic);
      this.#tree.delete(topic, client.id);
    }
  }

  async subscriptionsByClient(client: ClientRef): Promise<StoredSubscription[]> {
    return [...(this.#sessions.get(client.id)?.subscriptions.values() ?? [])];
  }

  async subscriptionsByTopic(topic: string): Promise<QueuedFor[]> {
    return [...this.#tree.match(topic).values()];
  }

  /** A clean start: nothing of an earlier session stays. */
  async cleanSubscriptions(client: ClientRef): Promise<void> {
    this.forget(client.id);
  }

  async countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return { subsCount: 0, clientsCount: this.#offline.size };
  }

  async outgoingEnqueue({ clientId }: { clientId: string }, packet: AedesPublishPacket): Promise<void> {
    const { maxQueuedMessages, maxQueuedBytes } = this.#isService(clientId) ? queueOfServices : this.#limits;
    this.#open(clientId).outgoing.add(packet, maxQueuedMessages, maxQueuedBytes);
  }

  async outgoingEnqueueCombi(subscriptions: readonly QueuedFor[], packet: AedesPublishPacket): Promise<void> {
    for (const { clientId, qos, nl } of subscriptions) {
      // aedes leaves its own messages to a bridge out of what it delivers, but not of what it keeps.
      if (nl === true && 'clientId' in packet && packet.clientId === clientId) continue;
      await this.outgoingEnqueue({ clientId }, { ...packet, qos: packet.qos < qos ? packet.qos : qos });
    }
  }

  async outgoingUpdate(client: ClientRef, packet: OutgoingPacket): Promise<void> {
    this.#sessions.get(client.id)?.outgoing.sent(packet);
  }

  /**
   * aedes also calls this, without an identifier, for a delivery that it has left out; then there is
   * nothing to clear, for the message may be under way by another subscription.
   */
  async outgoingClearMessageId(
    client: ClientRef,
    { messageId }: { messageId?: number },
  ): Promise<OutgoingPacket | undefined> {
    return messageId === undefined ? undefined : this.#sessions.get(client.id)?.outgoing.acknowledged(messageId);
  }

  outgoingStream(client: ClientRef): Readable {
    return Readable.from(this.#sessions.get(client.id)?.outgoing.packets() ?? []);
  }

  async incomingStorePacket(client: ClientRef, packet: PublishPacket): Promise<void> {
    this.#open(client.id).incoming.set(packet.messageId ?? 0, packet);
  }

  /** @throws Error for a packet that is not stored, by which aedes tells a new one from a repeated one */
  async incomingGetPacket(client: ClientRef, { messageId }: { messageId?: number }): Promise<PublishPacket> {
    const packet = this.#sessions.get(client.id)?.incoming.get(messageId ?? 0);
    if (packet === undefined) throw new Error('no such packet');
    return packet;
  }

  /** @throws Error for a packet that is not stored */
  async incomingDelPacket(client: ClientRef, { messageId }: { messageId?: number }): Promise<void> {
    if (!this.#sessions.get(client.id)?.incoming.delete(messageId ?? 0)) throw new Error('no such packet');
  }

  /** Called at the end of a clean session. */
  async cleanIncoming(client: ClientRef): Promise<void> {
    this.forget(client.id);
  }

  // Wills live in the client object; there is no other broker that would have to publish them.
  async putWill(): Promise<void> {}

  async getWill(): Promise<undefined> {}

  async delWill(): Promise<undefined> {}

  streamWill(): Readable {
    return Readable.from([]);
  }

  async destroy(): Promise<void> {}

  #open(clientId: string): Session {
    let session = this.#sessions.get(clientId);
    if (session === undefined) {
      session = { subscriptions: new Map(), outgoing: new OutgoingQueue(), incoming: new Map() };
      this.#sessions.set(clientId, session);
    }
    return session;
  }
}
