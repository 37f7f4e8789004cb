import { Mqtt2goError, type Publication } from '@mqtt2go/protocol';
import { ClientProxy, type ReadPacket } from '@nestjs/microservices';
import type { MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import { lastValueFrom, timeout } from 'rxjs';
import type { BrokerLink } from '../links/broker-link.js';
import { endClient } from '../mqtt/ending.js';
import { forgetUnacknowledged } from '../mqtt/forget-unacknowledged.js';
import { logConnection } from '../mqtt/subscribing.js';

const acknowledgeTimeoutMs = 10_000;

interface Outgoing {
  readonly payload: string;
  readonly qos: 0 | 1;
}

/** NestJS's client for the standard's topics: what is sent is the payload alone. */
export class DeviceClient extends ClientProxy {
  private readonly client: MqttClient;

  constructor(
    private readonly link: BrokerLink,
    suffix: string,
    log: Logger,
  ) {
    super();
    this.client = link.open(suffix);
    logConnection(this.client, link.address, log);
    forgetUnacknowledged(this.client);
  }

  get connected(): boolean {
    return this.client.connected;
  }

  async publishRaw({ topic, payload }: Publication, qos: 0 | 1): Promise<void> {
    const late = (): never => {
      throw new Mqtt2goError('unavailable', `${this.link.address} did not take a message in time`);
    };
    await lastValueFrom(
      this.emit<unknown, Outgoing>(topic, { payload, qos }).pipe(timeout({ first: acknowledgeTimeoutMs, with: late })),
      { defaultValue: undefined },
    );
  }

  override async connect(): Promise<void> {
    if (!this.client.connected) {
      throw new Mqtt2goError('unavailable', `no connection to ${this.link.address}`);
    }
  }

  override async close(): Promise<void> {
    await endClient(this.client);
  }

  override unwrap<T>(): T {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- NestJS leaves the type to the caller
    return this.client as T;
  }

  protected override publish(): never {
    throw new Error('the standard’s topics have no requests and replies of NestJS’s');
  }

  protected override async dispatchEvent<T>({ pattern, data }: ReadPacket<Outgoing>): Promise<T> {
    await this.client.publishAsync(String(pattern), data.payload, { qos: data.qos }).catch((error: unknown) => {
      throw new Mqtt2goError('unavailable', `${this.link.address} did not take a message`, { cause: error });
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- there is no result
    return undefined as T;
  }
}
