import { MqttContext, ServerMqtt, type TransportId } from '@nestjs/microservices';
import type { IPublishPacket, MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import { DEVICES } from '../bus/transport-ids.js';
import type { BrokerLink } from '../links/broker-link.js';
import { withOnboarding } from '../logging/onboarding-context.js';
import { endClient } from '../mqtt/ending.js';
import { handOver } from '../mqtt/handing-over.js';
import { MessageIntake } from '../mqtt/message-intake.js';
import { keepSubscribed, logConnection } from '../mqtt/subscribing.js';
import type { DeviceMessageHandler, DeviceTrafficOptions } from './device-traffic.js';

const backlogPerTopic = 64;

/**
 * A broker would keep messages for good for a process that never comes back under its name. MQTT 5 lets the session end:
 * in seconds, after the connection has.
 */
const keptSession = { protocolVersion: 5, properties: { sessionExpiryInterval: 300 } } as const;

/** NestJS's MQTT strategy for the standard's topics: events only, and the payload's bytes as they are, whatever its keys. */
export class DeviceServer extends ServerMqtt {
  override transportId: TransportId = DEVICES;
  private client: MqttClient | undefined;
  private intake: MessageIntake | undefined;
  private filters: readonly string[] = [];

  constructor(
    private readonly link: BrokerLink,
    private readonly traffic: DeviceTrafficOptions,
    private readonly log: Logger,
  ) {
    super({});
  }

  get connected(): boolean {
    return this.client?.connected ?? false;
  }

  addDeviceHandler(filter: string, handler: DeviceMessageHandler): void {
    this.addHandler(filter, (payload: Buffer, context: MqttContext) => handler(context.getTopic(), payload), true);
  }

  override async listen(callback: (error?: unknown) => void): Promise<void> {
    const {
      clientId = 'devices',
      session = 'persistent',
      concurrency = 64,
      order = 'by-topic',
      sharing,
    } = this.traffic;
    const suffix = sharing === undefined ? clientId : `${clientId}-${sharing.replica}`;
    // What is kept for one of several replicas is handled late, after what its sender has told another one since.
    const clean = session === 'clean' || sharing?.handsOver === true;
    const client = this.link.open(suffix, sharing === undefined || clean ? { clean } : { clean, ...keptSession });
    this.client = client;
    this.mqttClient = client;
    logConnection(client, this.link.address, this.log);
    this.intake = new MessageIntake(client, {
      concurrency,
      orderedByTopic: order === 'by-topic',
      backlogPerTopic,
      log: this.log,
      handle: (topic, payload, packet) => this.handleMessage(topic, payload, client, packet),
    });
    this.filters = [...this.messageHandlers.keys()].map((filter) =>
      sharing === undefined ? filter : `$share/${sharing.group}/${filter}`,
    );
    await keepSubscribed(client, this.filters, this.log).then(() => callback(), callback);
  }

  /** Patterns are topics; NestJS would try to read each one as JSON, with an exception for every message. */
  override getRouteFromPattern(pattern: string): string {
    return pattern;
  }

  override async close(): Promise<void> {
    const { client, intake } = this;
    if (client !== undefined && intake !== undefined && this.traffic.sharing?.handsOver) {
      await handOver(client, intake, this.filters, this.log);
    }
    await intake?.stop();
    await endClient(client);
  }

  override async handleMessage(
    topic: string,
    payload: Buffer,
    _client: MqttClient,
    packet: IPublishPacket,
  ): Promise<void> {
    const { maxPayloadBytes = 262_144, onHandled } = this.traffic;
    if (payload.length > maxPayloadBytes) {
      this.log.warn({ topic, bytes: payload.length, maxPayloadBytes }, 'message dropped: it is too large');
      return;
    }
    const startedMs = performance.now();
    let succeeded = false;
    try {
      // In-process streams would otherwise carry the sender's onboarding over to here.
      await withOnboarding(undefined, () =>
        this.handleEvent(topic, { pattern: topic, data: payload }, new MqttContext([topic, { ...packet }])),
      );
      succeeded = true;
    } finally {
      onHandled?.(performance.now() - startedMs, succeeded);
    }
  }
}
