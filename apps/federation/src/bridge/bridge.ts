import type { BrokerLink } from '@mqtt2go/messaging';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError, topics } from '@mqtt2go/protocol';
import type { IPublishPacket, MqttClient } from 'mqtt';
import pRetry, { AbortError } from 'p-retry';
import type { Logger } from 'pino';
import type { CloudLink } from '../link/cloud-link.js';
import { bridgeTarget } from '../link/verbs.js';
import type { BridgeQueue } from './bridge-queue.js';
import { BridgeSession, type BridgeTarget, connectAsBridge } from './bridge-session.js';

export interface BridgeOptions {
  readonly homeId: string;
  /** PEM: what the cloud's broker has to be issued by. */
  readonly ca: string;
  readonly link: CloudLink;
  /** To the broker in the house, with a bridge's rights there. */
  readonly homeLink: BrokerLink;
  readonly queue: BridgeQueue;
  /** What the broker's certificate is judged by. */
  readonly clock: Clock;
  readonly log: Logger;
  /** Between attempts, doubling from the first to the second, each of random length; 1,000 and 60,000 by default. */
  readonly backoffMs?: { readonly least: number; readonly most: number };
}

export interface BridgeState {
  readonly connected: boolean;
  readonly queued: number;
  readonly dropped: number;
  readonly lastError: string | undefined;
}

/** A connection that held for this long was a good one: the next attempt comes at once. */
const goodMs = 3_000;
/** Messages taken from the broker in the house before it is held back. */
const maxUnstored = 500;

/**
 * Joins the broker in the house with the home's broker in the cloud: what is said in the home at one is said at the other.
 *
 * Each broker knows the bridge for one and does not say to it what it has said itself, so that nothing goes round; equal
 * messages are different messages. What is said in the house is stored before it is sent, and forgotten when the cloud's
 * broker has it; what is said in the cloud waits in the broker's session there. Of QoS 1 nothing is lost but what is beyond the
 * bounds of these two, and some may come twice after a lost connection.
 */
export class Bridge {
  private readonly local: MqttClient;
  private readonly stopping = new AbortController();
  private session: BridgeSession | undefined;
  private running: Promise<void> | undefined;
  private target: BridgeTarget | undefined;
  private lastError: string | undefined;
  private isUp = false;

  constructor(private readonly options: BridgeOptions) {
    this.local = options.homeLink.open('bridge', { manualConnect: true });
    this.local.handleMessage = (packet, done) => {
      const kept = this.keep(packet).catch((error: unknown) => {
        options.log.error({ err: error, topic: packet.topic }, 'a message for the cloud is not stored yet');
      });
      // What waits in the broker of this process would be lost with this process no less: many are stored at once.
      if (options.queue.unstored < maxUnstored) done();
      else void kept.then(() => done());
    };
  }

  /** Resolves when nothing that is said in the house from now on is missed; the cloud may be away. */
  async start(): Promise<void> {
    connectAsBridge(this.local);
    await this.local.subscribeAsync(this.filters, { qos: 1 });
    this.running = this.keepUp();
  }

  state(): BridgeState {
    const { queue } = this.options;
    return { connected: this.isUp, queued: queue.size, dropped: queue.dropped, lastError: this.lastError };
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.local.endAsync();
    await this.session?.end();
    await this.running;
    await this.options.queue.stored();
  }

  private get filters(): string[] {
    return topics.gateway.filters({ homeId: this.options.homeId }).map((filter) => filter.replace(/\+$/, '#'));
  }

  private async keep({ topic, payload, qos, retain }: IPublishPacket): Promise<void> {
    // Whoever sends it so does without it when nobody is there.
    if (qos === 0 && !this.isUp) return;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    await this.options.queue.add({ topic, payload: bytes, qos: qos === 0 ? 0 : 1, retain });
    this.session?.poke();
  }

  private async keepUp(): Promise<void> {
    const { least, most } = this.options.backoffMs ?? { least: 1_000, most: 60_000 };
    while (!this.stopping.signal.aborted) {
      await pRetry(() => this.hold(), {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: least,
        maxTimeout: most,
        factor: 2,
        randomize: true,
        signal: this.stopping.signal,
      }).catch((error: unknown) => {
        if (!this.stopping.signal.aborted) this.options.log.error({ err: error }, 'the bridge fails');
      });
    }
  }

  /** One connection. Resolves after a good one. */
  private async hold(): Promise<void> {
    if (this.stopping.signal.aborted) throw new AbortError('the bridge stops');
    let openedAt: number | undefined;
    try {
      this.target = await this.findTarget();
      // Nobody would end a session that begins now.
      if (this.stopping.signal.aborted) throw new AbortError('the bridge stops');
      const session = new BridgeSession({
        target: this.target,
        ca: this.options.ca,
        clock: this.options.clock,
        filters: this.filters,
        queue: this.options.queue,
        deliver: (packet) => this.deliver(packet),
      });
      this.session = session;
      await session.run(() => {
        openedAt = performance.now();
        this.opened();
      });
    } catch (error) {
      this.closed(error);
      if (openedAt !== undefined && performance.now() - openedAt > goodMs) return;
      throw error instanceof Error ? error : new Error(String(error));
    } finally {
      this.session = undefined;
      this.isUp = false;
    }
  }

  /** The cloud's word, or the last one while its door does not answer. */
  private async findTarget(): Promise<BridgeTarget> {
    try {
      return await this.options.link.call(bridgeTarget, {}, { retries: 0, timeoutMs: 5_000 });
    } catch (error) {
      if (this.target !== undefined && error instanceof Mqtt2goError && error.code === 'unavailable')
        return this.target;
      throw error;
    }
  }

  private async deliver({ topic, payload, qos, retain }: IPublishPacket): Promise<void> {
    await this.local.publishAsync(topic, payload, { qos: qos === 0 ? 0 : 1, retain });
  }

  private opened(): void {
    this.isUp = true;
    this.lastError = undefined;
    this.options.log.info({ broker: this.target?.url, queued: this.options.queue.size }, 'the bridge is up');
  }

  private closed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (this.stopping.signal.aborted) return;
    // Once for each outage and each new reason, not for each attempt.
    if (reason !== this.lastError)
      this.options.log.warn({ reason }, 'the bridge is down; the house goes on, messages wait');
    this.lastError = reason;
  }
}
