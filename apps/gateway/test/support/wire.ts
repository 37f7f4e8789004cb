import { type IClientOptions, type MqttClient, connectAsync } from 'mqtt';

/** A message as it came over the wire. */
export interface Heard {
  readonly topic: string;
  readonly json: Record<string, unknown>;
  readonly text: string;
}

/** A plain MQTT client: what the tests say and hear is JSON on topics, without any code of the project in between. */
export class Wire {
  readonly heard: Heard[] = [];
  private readonly waiting = new Set<() => void>();

  private constructor(readonly client: MqttClient) {
    client.on('message', (topic, payload) => {
      const text = payload.toString();
      this.heard.push({ topic, text, json: parse(text) });
      for (const check of this.waiting) check();
    });
    // A closed door is what many tests look for; mqtt.js reports it here as well.
    client.on('error', () => undefined);
  }

  /** Connects once; no reconnects. Rejects when the door stays closed. */
  static async connect(url: string, options: IClientOptions): Promise<Wire> {
    const client = await connectAsync(url, { reconnectPeriod: 0, connectTimeout: 10_000, ...options }, false);
    return new Wire(client);
  }

  /** Resolves to false when the broker refuses. */
  async subscribe(topic: string): Promise<boolean> {
    try {
      const grants = await this.client.subscribeAsync(topic, { qos: 1 });
      return grants.every(({ qos }) => qos < 128);
    } catch {
      return false;
    }
  }

  async publish(topic: string, message: unknown): Promise<void> {
    const payload = typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message);
    await this.client.publishAsync(topic, payload, { qos: 1 });
  }

  /** The first message, heard before or from now on, that `matches`. */
  async hear(matches: (heard: Heard) => boolean, timeoutMs = 20_000): Promise<Heard> {
    const find = (): Heard | undefined => this.heard.find(matches);
    const found = find();
    if (found) return found;
    return new Promise<Heard>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.waiting.delete(check);
      };
      const check = (): void => {
        const message = find();
        if (message === undefined) return;
        end();
        resolve(message);
      };
      const timer = setTimeout(() => {
        end();
        reject(
          new Error(
            `not heard within ${timeoutMs} ms; heard: ${this.heard.map(({ text }) => text.slice(0, 200)).join('\n')}`,
          ),
        );
      }, timeoutMs);
      this.waiting.add(check);
    });
  }

  /** Forgets what was heard, so that {@link hear} waits for what comes. */
  forget(): void {
    this.heard.length = 0;
  }

  /** Resolves when the broker has closed the connection. */
  async closed(): Promise<void> {
    if (!this.client.connected) return;
    await new Promise<void>((resolve) => this.client.once('close', () => resolve()));
  }

  async close(): Promise<void> {
    await this.client.endAsync(true);
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Matches a report by its name, and its value where one is given. */
export const report =
  (name: string, value?: (value: unknown) => boolean) =>
  ({ json }: Heard): boolean =>
    json.type === 'report' && json.report_name === name && (value === undefined || value(json.value));

/** Matches an error report by its reason. */
export const refusal = (name: string, reason: string) =>
  report(name, (value) => typeof value === 'object' && value !== null && 'reason' in value && value.reason === reason);
