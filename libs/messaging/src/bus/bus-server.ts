import type { ServiceName } from '@mqtt2go/access';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { ServerMqtt, type TransportId } from '@nestjs/microservices';
import type { IPublishPacket, MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import { lastValueFrom } from 'rxjs';
import type { BrokerLink } from '../links/broker-link.js';
import { withCaller, withOnboarding } from '../logging/onboarding-context.js';
import { silent } from '../logging/silent.js';
import { endClient } from '../mqtt/ending.js';
import { forgetUnacknowledged } from '../mqtt/forget-unacknowledged.js';
import { handOver } from '../mqtt/handing-over.js';
import { MessageIntake } from '../mqtt/message-intake.js';
import { keepSubscribed, logConnection } from '../mqtt/subscribing.js';
import { traced } from '../tracing/tracing.js';
import { BusContext } from './bus-context.js';
import { type BusReply, busRequest, parseJson, replyTopic } from './bus-packets.js';
import { BUS } from './transport-ids.js';

export interface BusServerOptions {
  readonly link: BrokerLink;
  readonly service: ServiceName;
  /** Replicas of the service share the requests (`$share/<service>/…`); needs a broker that can. */
  readonly shared?: boolean;
  /** How many requests are worked on at once; 64 by default. */
  readonly concurrency?: number;
  /** The service's own by default, when the runtime starts it. */
  readonly log?: Logger;
}

/**
 * NestJS's MQTT strategy on the service bus. A request is acknowledged after its handler has ended and
 * the answer is on its way: a service that is killed in between gets it again.
 */
export class BusServer extends ServerMqtt {
  override transportId: TransportId = BUS;
  private log: Logger;
  private client: MqttClient | undefined;
  private intake: MessageIntake | undefined;
  private filters: readonly string[] = [];

  constructor(private readonly busOptions: BusServerOptions) {
    super({});
    this.log = busOptions.log ?? silent;
  }

  /** Where to log, unless the options said so; before `listen`. */
  useLog(log: Logger): void {
    this.log = this.busOptions.log ?? log;
  }

  /** Calls back when the broker has granted every subscription, or with the reason why not. */
  override async listen(callback: (error?: unknown) => void): Promise<void> {
    const { link, service, shared = false, concurrency = 64 } = this.busOptions;
    const client = link.open('bus-server');
    this.client = client;
    this.mqttClient = client;
    logConnection(client, link.address, this.log);
    forgetUnacknowledged(client);
    this.intake = new MessageIntake(client, {
      concurrency,
      orderedByTopic: false,
      log: this.log,
      handle: (topic, payload, packet) => this.handleMessage(topic, payload, client, packet),
    });
    this.registerDisconnectListener(client);
    this.registerCloseListener(client);
    this.registerConnectListener(client);
    this.filters = [...this.messageHandlers.keys()].map((pattern) =>
      shared ? `$share/${service}/${pattern}` : pattern,
    );
    await keepSubscribed(client, this.filters, this.log).then(() => callback(), callback);
  }

  /** Patterns are topics; NestJS would try to read each one as JSON, with an exception for every message. */
  override getRouteFromPattern(pattern: string): string {
    return pattern;
  }

  /** Waits for the requests that are worked on; new ones go to the other replicas, if they share them. */
  override async close(): Promise<void> {
    const { client, intake } = this;
    this.client = undefined;
    if (client !== undefined && intake !== undefined && this.busOptions.shared === true) {
      await handOver(client, intake, this.filters, this.log);
    }
    await intake?.stop();
    await endClient(client);
  }

  /** @throws Mqtt2goError `unavailable` while the broker cannot be reached */
  checkHealth(): void {
    if (!this.client?.connected) {
      throw new Mqtt2goError('unavailable', `no connection to ${this.busOptions.link.address}`);
    }
  }

  override async handleMessage(
    topic: string,
    payload: Buffer,
    client: MqttClient,
    packet: IPublishPacket,
  ): Promise<void> {
    const request = busRequest.safeParse(parseJson(payload));
    if (!request.success) {
      this.log.warn({ topic, bytes: payload.length }, 'a message on the bus is no request; ignored');
      return;
    }
    const { id, data } = request.data;
    const { onboardingId, caller, traceparent } = data;
    const work = async (): Promise<void> => {
      const context = new BusContext(topic, { ...packet }, data.onboardingId, this.log);
      const startedAt = performance.now();
      const reply = await this.answer(topic, data.body, context);
      if (data.onboardingId !== undefined) {
        // So that an onboarding can be followed through all services.
        const durationMs = Math.round(performance.now() - startedAt);
        this.log.info({ topic, durationMs, error: reply.err?.code }, 'a bus request was answered');
      }
      client.publish(replyTopic(topic), JSON.stringify({ ...reply, id, isDisposed: true }), { qos: 1 }, (error) => {
        if (error) {
          this.log.warn({ err: error, topic }, 'an answer did not reach the broker; the caller will ask again');
        }
      });
    };
    await withCaller(caller, () =>
      withOnboarding(onboardingId, () => traced(topic, work, { kind: 'server', parent: traceparent })),
    );
  }

  private async answer(topic: string, body: unknown, context: BusContext): Promise<Omit<BusReply, 'id'>> {
    const handler = this.getHandlerByPattern(topic);
    if (handler === null) {
      return { err: { code: 'unknown_command', message: `nobody answers ${topic}` } };
    }
    return new Promise((resolve) => {
      this.runWithProcessingHooks(context, async (ended) => {
        try {
          const stream = this.transformToObservable(await handler(body, context));
          resolve({ response: await lastValueFrom(stream, { defaultValue: {} }) });
        } catch (error) {
          resolve({ err: this.errorForCaller(error, topic) });
        } finally {
          ended();
        }
      });
    });
  }

  /** BusErrorFilter has made every error of a handler this; another one was thrown around the handler. */
  private errorForCaller(error: unknown, topic: string): { code: string; message: string } {
    if (typeof error === 'object' && error !== null && 'code' in error && 'message' in error) {
      const { code, message } = error;
      if (typeof code === 'string' && typeof message === 'string' && !(error instanceof Error)) {
        return { code, message };
      }
    }
    this.log.error({ err: error, topic }, 'a bus request failed');
    const { code, message } = new Mqtt2goError('internal');
    return { code, message };
  }
}
