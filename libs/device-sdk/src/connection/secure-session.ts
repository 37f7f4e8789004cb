import type { TLSSocket } from 'node:tls';
import { MqttClient } from 'mqtt';
import { ConnectionProblem, connectionProblem } from './connection-problem.js';
import { openTrustedSocket, type SocketOptions } from './trusted-socket.js';

/** How long a broker may take to take over a message. */
const acknowledgeTimeoutMs = 10_000;

export interface SessionOptions extends SocketOptions {
  readonly clientId: string;
  readonly keepaliveSeconds: number;
}

/**
 * One TLS connection to one broker, with the device's certificate. It does not come back by itself:
 * whoever holds it decides when to try again, so that a thousand devices do not do it in step.
 */
export class SecureSession {
  readonly #client: MqttClient;
  readonly #address: string;
  /** Resolves when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  readonly #waiting = new Set<(problem: ConnectionProblem) => void>();
  #open = true;

  private constructor(client: MqttClient, address: string) {
    this.#client = client;
    this.#address = address;
    this.closed = new Promise((resolve) => {
      client.once('close', () => {
        this.#open = false;
        for (const reject of this.#waiting) reject(this.lost());
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Connects. The server's certificate is checked against `ca` and `host` before any MQTT is spoken.
   * @throws ConnectionProblem; the reason of `signal`
   */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<SecureSession> {
    const socket = await openTrustedSocket(options, signal);
    return SecureSession.#greet(socket, options, signal);
  }

  static #greet(socket: TLSSocket, options: SessionOptions, signal: AbortSignal): Promise<SecureSession> {
    const address = `${options.host}:${options.port}`;
    return new Promise((resolve, reject) => {
      let problem: ConnectionProblem | undefined;
      // With TLS 1.3 a server turns down the device's certificate only now, which mqtt.js would keep to itself.
      socket.on('error', (error) => {
        problem ??= connectionProblem(error, address);
      });
      const client = new MqttClient(() => socket, {
        clientId: options.clientId,
        clean: true,
        protocolVersion: 4,
        keepalive: options.keepaliveSeconds,
        connectTimeout: options.connectTimeoutMs,
        reconnectPeriod: 0,
        resubscribe: false,
        queueQoSZero: false,
      });
      const session = new SecureSession(client, address);
      // Kept for the whole life of the client: an 'error' without a listener would end the process, and
      // not every error makes mqtt.js close the connection.
      client.on('error', (error) => {
        problem ??= connectionProblem(error, address);
        client.end(true);
        failed();
      });
      const settle = (): void => {
        signal.removeEventListener('abort', aborted);
        client.off('connect', connected);
        client.off('close', failed);
      };
      const connected = (): void => {
        settle();
        resolve(session);
      };
      const failed = (): void => {
        settle();
        client.end(true);
        reject(problem ?? new ConnectionProblem('refused', `The broker at ${address} closed the connection at once.`));
      };
      const aborted = (): void => {
        settle();
        client.end(true);
        reject(signal.reason);
      };
      client.once('connect', connected);
      client.once('close', failed);
      signal.addEventListener('abort', aborted, { once: true });
      if (signal.aborted) aborted();
    });
  }

  /** @throws ConnectionProblem `refused` if the broker does not grant every one of them */
  async subscribe(topics: readonly string[]): Promise<void> {
    const list = topics.join(', ');
    await this.#orLost(
      this.#client.subscribeAsync([...topics], { qos: 1 }).catch((error: unknown) => {
        throw this.#open
          ? new ConnectionProblem('refused', `The broker does not let the device listen to ${list}.`, { cause: error })
          : this.lost(error);
      }),
    );
  }

  async unsubscribe(topics: readonly string[]): Promise<void> {
    await this.#orLost(this.#client.unsubscribeAsync([...topics]));
  }

  /**
   * Resolves when the broker has taken it over (QoS 1). One that does not say so in time is left: of a cluster whose
   * nodes fail it may be the wrong node.
   * @throws ConnectionProblem `lost`
   */
  async publish(topic: string, payload: string): Promise<void> {
    const late = setTimeout(() => this.#client.end(true), acknowledgeTimeoutMs);
    try {
      await this.#orLost(
        this.#client.publishAsync(topic, payload, { qos: 1 }).catch((error: unknown) => {
          throw this.lost(error);
        }),
      );
    } finally {
      clearTimeout(late);
    }
  }

  onMessage(handler: (topic: string, payload: Buffer) => void): () => void {
    const listener = (topic: string, payload: Buffer): void => handler(topic, payload);
    this.#client.on('message', listener);
    return () => this.#client.off('message', listener);
  }

  /** Says goodbye and closes; at once if the connection is gone already. */
  async close(): Promise<void> {
    if (!this.#open) {
      this.#client.end(true);
      return;
    }
    // mqtt.js waits for the acknowledgement of what is in flight; a broker that is gone never sends it.
    // It does not let itself be told otherwise once it waits.
    const forced = setTimeout(() => this.#client.stream.destroy(), 1_000);
    this.#client.end(false);
    await this.closed;
    clearTimeout(forced);
  }

  /** mqtt.js leaves some promises pending when the connection breaks under them. */
  #orLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!this.#open) {
        work.catch(() => undefined);
        reject(this.lost());
        return;
      }
      this.#waiting.add(reject);
      work.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  /** What to say when the connection is gone. */
  lost(cause?: unknown): ConnectionProblem {
    return new ConnectionProblem('lost', `The connection to ${this.#address} broke.`, { cause });
  }
}
