import { Mqtt2goError, type Publication } from '@mqtt2go/protocol';
import { ClientMqtt, type ReadPacket } from '@nestjs/microservices';
import type { MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import { lastValueFrom, timeout } from 'rxjs';
import type { BrokerLink } from '../links/broker-link.js';
import { logConnection } from '../mqtt/subscribing.js';

const acknowledgeTimeoutMs = 10_000;

/** NestJS's MQTT client for the standard's topics: what is sent is the payload alone. */
export class DeviceClient extends ClientMqtt {
  private readonly client: MqttClient;

  constructor(
    private readonly link: BrokerLink,
    suffix: string,
    log: Logger,
  ) {
    super({});
    this.client = link.open(suffix);
    this.mqttClient = this.client;
    logConnection(this.client, link.address, log);
  }

  get connected(): boolean {
    return this.client.connected;
  }

  async publishRaw({ topic, payload }: Publication, qos: 0 | 1): Promise<void> {
    const late = (): never => {
      throw new Mqtt2goError('unavailable', `${this.link.address} did not take a message in time`);
    };
    await lastValueFrom(
      this.emit<unknown, { payload: string; qos: 0 | 1 }>(topic, { payload, qos }).pipe(
        timeout({ first: acknowledgeTimeoutMs, with: late }),
      ),
      { defaultValue: undefined },
    );
  }

  override async connect(): Promise<void> {
    if (!this.client.connected) {
      throw new Mqtt2goError('unavailable', `no connection to ${this.link.address}`);
    }
  }

  override createClient(): MqttClient {
    return this.client;
  }

  override async close(): Promise<void> {
    await this.client.endAsync();
  }

  protected override async dispatchEvent({ pattern, data }: ReadPacket<{ payload: string; qos: 0 | 1 }>): Promise<void> {
    await this.client.publishAsync(String(pattern), data.payload, { qos: data.qos }).catch((error: unknown) => {
      throw new Mqtt2goError('unavailable', `${this.link.address} did not take a message`, { cause: error });
    });
  }
}
