import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { z } from 'zod';
import type { RegisteredDevice } from './registering.js';

export interface Broker {
  readonly host: string;
  readonly port: number;
}

const moved = z.object({
  report_name: z.literal('mqtt_credentials'),
  value: z.object({ broker_ip: z.string(), broker_port: z.int().default(8883) }),
});
const told = z.object({ type: z.literal('report'), report_name: z.literal('topics'), value: z.array(z.string()) });
const numbered = z.object({ type: z.enum(['command', 'report']), value: z.string().regex(/^\d+$/) });

/** Whoever is looked for by mDNS is this machine. */
function connect({ host, port }: Broker, options: IClientOptions): Promise<MqttClient> {
  return connectAsync(
    `mqtts://127.0.0.1:${port}`,
    {
      servername: host === '127.0.0.1' ? 'localhost' : host,
      reconnectPeriod: 0,
      connectTimeout: 60_000,
      protocolVersion: 4,
      ...options,
    },
    false,
  );
}

/** A device that hears commands by their numbers, reports by numbers of its own, and goes where it is told to. */
export class SpeakingDevice {
  readonly heard = new Map<number, number>();
  /** Of its reports, those that a broker has acknowledged. */
  readonly said = new Set<number>();
  /** From leaving the old broker to listening at the new one, in milliseconds. */
  gapMs: number | undefined;
  topic = '';
  private next = 0;
  private client: MqttClient | undefined;

  constructor(
    private readonly device: RegisteredDevice,
    private readonly ca: string,
  ) {}

  get deviceId(): string {
    return this.device.deviceId;
  }

  /** Comes to a broker, and resolves when it listens to its topics there. */
  async come(broker: Broker): Promise<void> {
    const { deviceId, cert, key } = this.device;
    const client = await connect(broker, { clientId: deviceId, clean: false, cert, key, ca: this.ca });
    this.client = client;
    client.on('error', () => undefined);
    const own = `${deviceId}/topics`;
    const served = new Promise<string[]>((resolve) => {
      client.on('message', (topic, payload) => {
        const json: unknown = JSON.parse(payload.toString());
        if (topic !== own) return this.hear(json);
        const topics = told.safeParse(json);
        if (topics.success) resolve(topics.data.value);
        const elsewhere = moved.safeParse(json);
        if (elsewhere.success) void this.go(client, elsewhere.data.value);
      });
    });
    await client.subscribeAsync(own, { qos: 1 });
    const asks = { type: 'command', timestamp: 0, command_type: 'topics', value: 'GET_DEVICE_TOPICS' };
    await client.publishAsync(own, JSON.stringify(asks), { qos: 1 });
    const topics = await served;
    this.topic = topics[0] ?? '';
    await client.subscribeAsync(topics, { qos: 1 });
    await this.report();
  }

  async report(): Promise<void> {
    const { client } = this;
    if (client?.connected !== true || this.topic === '') return;
    const number = (this.next += 1);
    const message = { type: 'report', timestamp: 0, report_type: 'status', report_name: 'set', value: String(number) };
    await client.publishAsync(this.topic, JSON.stringify(message), { qos: 1 }).then(
      () => this.said.add(number),
      () => undefined,
    );
  }

  async leave(): Promise<void> {
    await this.client?.endAsync(true);
  }

  private hear(json: unknown): void {
    const message = numbered.safeParse(json);
    if (!message.success || message.data.type !== 'command') return;
    const number = Number(message.data.value);
    this.heard.set(number, (this.heard.get(number) ?? 0) + 1);
  }

  private async go(former: MqttClient, { broker_ip, broker_port }: z.output<typeof moved>['value']): Promise<void> {
    if (this.client !== former) return;
    this.client = undefined;
    await former.endAsync();
    const leftAt = performance.now();
    for (;;) {
      try {
        await this.come({ host: broker_ip, port: broker_port });
        this.gapMs = performance.now() - leftAt;
        return;
      } catch {
        await sleep(100 + Math.random() * 200);
      }
    }
  }
}

/** An app that commands by numbers, and hears reports; at two brokers at once while it changes, so that it misses nothing. */
export class SpeakingApp {
  readonly said = new Map<string, Set<number>>();
  readonly heard = new Map<string, Set<number>>();
  private clients: MqttClient[] = [];
  private next = 0;

  constructor(
    private readonly homeId: string,
    private readonly credentials: { readonly username: string; readonly password: string },
    private readonly ca: string,
  ) {}

  async come(broker: Broker): Promise<void> {
    const client = await connect(broker, { ...this.credentials, ca: this.ca, clean: true });
    client.on('error', () => undefined);
    client.on('message', (topic, payload) => this.hear(topic, JSON.parse(payload.toString())));
    await client.subscribeAsync(`${this.homeId}/#`, { qos: 1 });
    this.clients.unshift(client);
  }

  /** Leaves all brokers but the last that it came to. */
  async stay(): Promise<void> {
    await Promise.all(this.clients.splice(1).map((client) => client.endAsync(true)));
  }

  /** At the broker that it came to last. */
  async command(device: SpeakingDevice): Promise<void> {
    const [client] = this.clients;
    if (client?.connected !== true || device.topic === '') return;
    const number = (this.next += 1);
    const message = { type: 'command', timestamp: 0, command_type: 'set', value: String(number) };
    await client.publishAsync(device.topic, JSON.stringify(message), { qos: 1 }).then(
      () => this.said.set(device.deviceId, (this.said.get(device.deviceId) ?? new Set()).add(number)),
      () => undefined,
    );
  }

  async leave(): Promise<void> {
    await Promise.all(this.clients.splice(0).map((client) => client.endAsync(true)));
  }

  private hear(topic: string, json: unknown): void {
    const message = numbered.safeParse(json);
    if (!message.success || message.data.type !== 'report') return;
    const deviceId = topic.split('/').at(-1) ?? '';
    this.heard.set(deviceId, (this.heard.get(deviceId) ?? new Set()).add(Number(message.data.value)));
  }
}
