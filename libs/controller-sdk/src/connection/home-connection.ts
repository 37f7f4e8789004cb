import { Mqtt2goError } from '@mqtt2go/protocol';
import pRetry from 'p-retry';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { connectionError } from './connection-error.js';
import { forgetUnacknowledged } from './forget-unacknowledged.js';

export interface HomeConnectionOptions {
  /** `mqtts://host:8883`, or `wss://host:8884` from a browser. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** PEM trust anchor for the broker. Not in browsers: they use their own. */
  readonly ca?: string;
  /** The first wait before coming again after a lost connection; it doubles up to a minute. */
  readonly reconnectMs?: number;
  /** Called when the home has moved to another broker, whose URL is to be used from then on. */
  readonly onMoved?: (url: string) => void;
  /** Another way to the broker than `url`, for tests and tunnels. */
  readonly open?: (options: IClientOptions) => MqttClient;
}

type Listener = (topic: string, payload: Uint8Array) => void;

const longestReconnectMs = 60_000;

/** A broker that has just come back may know nobody yet: so many refusals say that user name or password are not good any more. */
const refusalsThatCount = 4;

/** A connection to the home's broker that comes back by itself, with its subscriptions. */
export class HomeConnection {
  #options: HomeConnectionOptions;
  readonly #listeners = new Set<Listener>();
  readonly #reconnected = new Set<() => void>();
  readonly #subscriptions = new Map<string, { wanted: number; readonly ready: Promise<void> }>();
  /** Brokers work on several packets of a client at once: a subscription waits for the end of the one before it. */
  readonly #leaving = new Map<string, Promise<unknown>>();
  #client: MqttClient | undefined;
  #connecting: Promise<void> | undefined;
  #lastError: unknown;
  /** In a row, of a connection that was there before. */
  #refusals = 0;

  constructor(options: HomeConnectionOptions) {
    this.#options = options;
  }

  /**
   * Connects, once; calls in between and afterwards are answered by the same attempt.
   * @throws Mqtt2goError `unavailable`, `forbidden` or `server_untrusted`; then it can be called again
   */
  connect(): Promise<void> {
    this.#connecting ??= this.#connect().catch(async (error: unknown) => {
      this.#connecting = undefined;
      throw error;
    });
    return this.#connecting;
  }

  /**
   * Goes to another broker with the same user, and takes its subscriptions along. Until it is there it tries again as after a
   * lost connection. A web app stays: it is told of no broker for it.
   */
  async moveTo(host: string, port: number): Promise<void> {
    const { protocol } = new URL(this.#options.url);
    const url = `${protocol}//${host.includes(':') ? `[${host}]` : host}:${port}`;
    if (!protocol.startsWith('mqtt') || url === this.#options.url) return;
    const former = this.#client;
    this.#options = { ...this.#options, url };
    this.#client = undefined;
    this.#connecting = undefined;
    former?.end(true);
    const { reconnectMs = 1_000 } = this.#options;
    await pRetry(() => this.connect(), {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: reconnectMs,
      maxTimeout: longestReconnectMs,
      randomize: true,
      shouldRetry: ({ error }) =>
        this.#options.url === url && error instanceof Mqtt2goError && error.code === 'unavailable',
    });
    if (this.#client !== undefined) await this.#comeBack(this.#client);
    this.#options.onMoved?.(url);
  }

  #connect(): Promise<void> {
    const { url, username, password, ca, reconnectMs = 1_000, open } = this.#options;
    const options: IClientOptions = {
      username,
      password,
      // A clustered broker takes a controller's sessions under its own name only: by theirs, others would get at them.
      clientId: `${username}/${Math.random().toString(16).slice(2, 10)}`,
      ...(ca === undefined ? {} : { ca }),
      rejectUnauthorized: true,
      clean: true,
      protocolVersion: 4,
      keepalive: 30,
      connectTimeout: 10_000,
      reconnectPeriod: reconnectMs,
      // A broker that has just come back may not know anybody yet; mqtt.js would never come again.
      reconnectOnConnackError: true,
      // Made again by hand: mqtt.js would not look at a refusal.
      resubscribe: false,
      queueQoSZero: false,
    };
    const client = open?.(options) ?? connect({ ...endpoint(url), ...options });
    this.#client = client;
    forgetUnacknowledged(client);
    let delay = reconnectMs;
    return new Promise((resolve, reject) => {
      let first = true;
      const failed = (error: unknown): void => {
        if (!first) return;
        first = false;
        client.end(true);
        reject(connectionError(error, url));
      };
      client.on('error', (error) => {
        this.#lastError = error;
        if (connectionError(error, url).code === 'forbidden') this.#refusals += 1;
        failed(error);
      });
      client.on('close', () => {
        failed(undefined);
        // With jitter, so that the controllers of a broker that was restarted do not come all at once.
        delay = Math.min(delay * 2, longestReconnectMs);
        client.options.reconnectPeriod = delay * (0.5 + Math.random() / 2);
      });
      client.on('message', (topic, payload) => {
        for (const listener of [...this.#listeners]) listener(topic, payload);
      });
      client.on('connect', () => {
        withoutDelay(client.stream);
        delay = reconnectMs;
        this.#lastError = undefined;
        this.#refusals = 0;
        if (first) {
          first = false;
          resolve();
        } else {
          void this.#comeBack(client);
        }
      });
    });
  }

  async #comeBack(client: MqttClient): Promise<void> {
    try {
      if (this.#subscriptions.size > 0) await client.subscribeAsync([...this.#subscriptions.keys()], { qos: 1 });
      for (const listener of [...this.#reconnected]) listener();
    } catch {
      // Lost again, or no longer allowed: the next publication tells.
    }
  }

  onMessage(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when the connection has been lost and is back. */
  onReconnect(listener: () => void): () => void {
    this.#reconnected.add(listener);
    return () => this.#reconnected.delete(listener);
  }

  /** Subscribes until the returned function is called. @throws Mqtt2goError `forbidden` or `unavailable` */
  async subscribe(filter: string): Promise<() => void> {
    await this.#connected();
    await this.#leaving.get(filter);
    const client = await this.#connected();
    let subscription = this.#subscriptions.get(filter);
    if (subscription === undefined) {
      subscription = { wanted: 0, ready: this.#subscribe(client, filter) };
      this.#subscriptions.set(filter, subscription);
    }
    subscription.wanted++;
    try {
      await subscription.ready;
    } catch (error) {
      this.#release(filter);
      throw error;
    }
    return () => this.#release(filter);
  }

  async #subscribe(client: MqttClient, filter: string): Promise<void> {
    try {
      await client.subscribeAsync(filter, { qos: 1 });
    } catch (cause) {
      if (!client.connected) throw this.#whyNot();
      const message = `The broker does not let ${this.#options.username} listen to ${filter}.`;
      throw new Mqtt2goError('forbidden', message, { cause });
    }
  }

  #release(filter: string): void {
    const subscription = this.#subscriptions.get(filter);
    if (subscription === undefined || --subscription.wanted > 0) return;
    this.#subscriptions.delete(filter);
    const client = this.#client;
    if (!client?.connected) return;
    const left = client.unsubscribeAsync(filter).catch(() => undefined);
    this.#leaving.set(filter, left);
    void left.then(() => {
      if (this.#leaving.get(filter) === left) this.#leaving.delete(filter);
    });
  }

  /** Resolves when the broker has taken it over (QoS 1). @throws Mqtt2goError `unavailable` when there is no connection */
  async publish(topic: string, payload: string): Promise<void> {
    const client = await this.#connected();
    try {
      await client.publishAsync(topic, payload, { qos: 1 });
    } catch (error) {
      throw connectionError(error, this.#options.url);
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#connecting = undefined;
    if (client === undefined) return;
    await new Promise<void>((resolve) => {
      // mqtt.js waits for the acknowledgement of what is in flight, which a cluster that lost a node may never send, and
      // does not let itself be told otherwise once it waits.
      const forced = setTimeout(() => {
        client.stream.destroy();
        resolve();
      }, 1_000);
      client.end(!client.connected, {}, () => {
        clearTimeout(forced);
        resolve();
      });
    });
  }

  async #connected(): Promise<MqttClient> {
    await this.connect();
    if (!this.#client?.connected) throw this.#whyNot();
    return this.#client;
  }

  /** Why a connection that was there is not back yet. */
  #whyNot(): Mqtt2goError {
    const error = connectionError(this.#lastError, this.#options.url);
    if (error.code !== 'forbidden' || this.#refusals >= refusalsThatCount) return error;
    const message = `The broker at ${this.#options.url} does not let ${this.#options.username} in again yet.`;
    return new Mqtt2goError('unavailable', message, { cause: error });
  }
}

const protocols: Readonly<Record<string, IClientOptions['protocol']>> = {
  'mqtts:': 'mqtts',
  'wss:': 'wss',
  'mqtt:': 'mqtt',
  'ws:': 'ws',
};

/** The parts of a URL, which mqtt.js would take apart by what Node.js warns of. @throws Mqtt2goError `configuration_invalid` */
function endpoint(url: string): IClientOptions {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const protocol = protocols[parsed?.protocol ?? ''];
  if (parsed === undefined || protocol === undefined) {
    throw new Mqtt2goError('configuration_invalid', `${url} is not the URL of a broker, such as mqtts://host:8883.`);
  }
  const { hostname, port, pathname, search } = parsed;
  return {
    protocol,
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    ...(port === '' ? {} : { port: Number(port) }),
    ...(protocol === 'wss' || protocol === 'ws' ? { path: `${pathname}${search}` } : {}),
  };
}

/** Small packets in turn: with Nagle's algorithm each waits for a delayed acknowledgement, 40 ms. Browsers do it right. */
function withoutDelay(stream: unknown): void {
  if (typeof stream !== 'object' || stream === null || !('setNoDelay' in stream)) return;
  const { setNoDelay } = stream;
  if (typeof setNoDelay === 'function') Reflect.apply(setNoDelay, stream, [true]);
}
