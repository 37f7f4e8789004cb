import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { judgedSocket } from '@mqtt2go/messaging';
import { serverFault } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { type IPublishPacket, MqttClient, type Packet } from 'mqtt';
import { timeOf } from '../link/time.js';
import type { BridgeQueue } from './bridge-queue.js';

/** Sent before the first of them is acknowledged. */
const inFlight = 50;
const connectTimeoutMs = 15_000;
const keepaliveSeconds = 30;

export interface BridgeTarget {
  /** `mqtts://host:port` */
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

export interface BridgeSessionOptions {
  readonly target: BridgeTarget;
  /** PEM: what the cloud's broker has to be issued by. */
  readonly ca: string;
  /** What its certificate is judged by. */
  readonly clock: Clock;
  /** All that is said in the home. */
  readonly filters: readonly string[];
  readonly queue: BridgeQueue;
  /** Says it in the house; resolves when the broker there has it. */
  readonly deliver: (packet: IPublishPacket) => Promise<void>;
}

/**
 * One connection to the cloud's broker: says there what waits in the queue, in its order, and says in the house what is heard.
 * The broker keeps the session when the connection ends, so that what is said meanwhile is heard later.
 */
export class BridgeSession {
  private readonly client: MqttClient;
  private readonly ended: Promise<void>;
  private wake: () => void = () => undefined;
  private lastError: Error | undefined;
  private isOpen = true;

  constructor(private readonly options: BridgeSessionOptions) {
    const { target } = options;
    const open = (): TLSSocket => {
      const socket = openSocket(options);
      // mqtt.js passes over what is said of a certificate.
      socket.on('error', (error: Error) => {
        this.lastError = error;
      });
      return socket;
    };
    this.client = new MqttClient(open, {
      username: target.username,
      password: target.password,
      // Some brokers tie client ids to user names.
      clientId: `${target.username}/bridge`,
      protocolVersion: 4,
      clean: false,
      keepalive: keepaliveSeconds,
      connectTimeout: connectTimeoutMs,
      // Who opens sessions tries again, after asking where the home is.
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      manualConnect: true,
    });
    this.client.handleMessage = (packet, done) => {
      // Not acknowledged before it is in the house: else the broker repeats it.
      this.options.deliver(packet).then(
        () => done(),
        (error: unknown) => this.fail(error),
      );
    };
    this.client.on('error', (error) => {
      this.lastError = error;
    });
    this.ended = new Promise((resolve) =>
      this.client.once('close', () => {
        this.isOpen = false;
        this.wake();
        resolve();
      }),
    );
    connectAsBridge(this.client);
  }

  get connected(): boolean {
    return this.client.connected;
  }

  /** There is something new in the queue. */
  poke(): void {
    this.wake();
  }

  /**
   * Runs until the connection ends.
   * @param opened called when both directions work
   * @throws Mqtt2goError `unavailable`; `forbidden` when the broker refuses the account or a subscription
   */
  async run(opened: () => void): Promise<never> {
    await this.begin();
    opened();
    await this.empty();
    await this.ended;
    throw new Mqtt2goError('unavailable', `the connection to ${this.options.target.url} has ended${this.reason}`);
  }

  async end(): Promise<void> {
    await this.client.endAsync(!this.client.connected);
    // One that never got as far as a connection has none to close.
    this.client.emit('close');
    await this.ended;
  }

  private async begin(): Promise<void> {
    const sessionPresent = await new Promise<boolean>((resolve, reject) => {
      this.client.once('connect', ({ sessionPresent: isPresent }) => resolve(isPresent));
      void this.ended.then(() => {
        reject(new Mqtt2goError(codeOf(this.lastError), `${this.options.target.url} cannot be reached${this.reason}`));
      });
    });
    // Subscribed anew, a broker would say again all that it has retained.
    if (sessionPresent) return;
    try {
      await this.client.subscribeAsync([...this.options.filters], { qos: 1 });
    } catch (cause) {
      await this.client.endAsync(true).catch(() => undefined);
      throw new Mqtt2goError('forbidden', 'the cloud’s broker refuses the bridge’s subscriptions', { cause });
    }
  }

  /** A window of messages is on the way; the connection keeps their order, and only what was acknowledged is forgotten. */
  private async empty(): Promise<void> {
    let after = '0';
    while (this.isOpen) {
      const woken = new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      const batch = await this.options.queue.next(after, inFlight);
      if (batch.length === 0) {
        await woken;
        continue;
      }
      const arrived: string[] = [];
      const sent = batch.map(async ({ id, topic, payload, qos, retain }) => {
        await this.client.publishAsync(topic, payload, { qos, retain });
        arrived.push(id);
      });
      // Without a connection nothing is answered any more.
      await Promise.race([Promise.allSettled(sent), this.ended]);
      await this.options.queue.remove(arrived);
      if (arrived.length < batch.length) return;
      after = batch.at(-1)?.id ?? after;
    }
  }

  private fail(error: unknown): void {
    this.lastError = error instanceof Error ? error : new Error(String(error));
    this.client.stream.destroy();
  }

  private get reason(): string {
    return this.lastError === undefined ? '' : `: ${this.lastError.message}`;
  }
}

function openSocket({ target, ca, clock }: BridgeSessionOptions): TLSSocket {
  const { hostname, port } = new URL(target.url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const servername = isIP(host) === 0 ? host : undefined;
  return judgedSocket({ host, port: port === '' ? 8883 : Number(port), servername, ca }, (socket, name) =>
    serverFault(socket, name, { ...timeOf(clock), trustAnchors: [ca] }),
  );
}

/**
 * Connects with the bit of the protocol's version by which MQTT 3.1.1 brokers know a bridge (0x84): they do not say to it what it has said,
 * and leave the retain flag as it was. mqtt.js has no option for it.
 * @param client made with `manualConnect`: else its first CONNECT is out before it can be changed
 */
export function connectAsBridge(client: MqttClient): void {
  client.on('packetsend', (packet: Packet) => {
    if (packet.cmd === 'connect') Object.assign(packet, { bridgeMode: true });
  });
  client.connect();
}

/** CONNACK's 4 and 5: the account is gone, or not yet there. */
function codeOf(error: Error | undefined): 'forbidden' | 'unavailable' {
  return error !== undefined && 'code' in error && (error.code === 4 || error.code === 5) ? 'forbidden' : 'unavailable';
}
