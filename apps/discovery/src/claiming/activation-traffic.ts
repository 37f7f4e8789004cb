import type { AuditRefusals } from '@mqtt2go/audit';
import { type DeviceTraffic, traced, withOnboarding } from '@mqtt2go/messaging';
import type { RevisionRegistry, RevisionWire } from '@mqtt2go/plugin-api';
import type { Clock } from '@mqtt2go/ports';
import {
  type ActivationInbound,
  Mqtt2goError,
  type Inbound,
  type Outbound,
  type ReplyPath,
  toMqtt2goError,
} from '@mqtt2go/protocol';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import type { WaitingActivation } from '../activation/waiting-activation.entity.js';
import type { WaitingActivations } from '../activation/waiting-activations.js';
import type { Relocations } from '../relocation/relocations.js';
import type { ActivationMetrics } from './activation-metrics.js';
import type { BrokerDataDesk } from './broker-data.js';

export interface ActivationTrafficParts {
  readonly traffic: DeviceTraffic;
  readonly revisions: RevisionRegistry;
  readonly waiting: WaitingActivations;
  readonly desk: BrokerDataDesk;
  /** True on a gateway in the house: a device that asks it for its certificate is at its home's broker already. */
  readonly isGateway: boolean;
  readonly metrics: ActivationMetrics;
  readonly audit: AuditRefusals;
  readonly relocations: Relocations;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The activation broker's messages, read and answered in the revision that the device speaks. */
export class ActivationTraffic implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(private readonly parts: ActivationTrafficParts) {}

  /** @throws Mqtt2goError `forbidden` when the broker refuses a subscription */
  async onApplicationBootstrap(): Promise<void> {
    const { traffic, revisions } = this.parts;
    await traffic.listen(revisions.activationFilters, (topic, payload) => this.handle(topic, payload));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.parts.traffic.close();
  }

  /** @throws Mqtt2goError `unavailable` while the activation broker cannot be reached */
  checkHealth(): void {
    this.parts.traffic.checkHealth();
  }

  private async handle(topic: string, payload: Buffer): Promise<void> {
    const wire = this.parts.revisions.ofActivationTopic(topic);
    const reading = wire?.readActivation(topic, payload);
    if (wire === undefined || reading === undefined || reading.outcome === 'ignored') return;
    if (reading.outcome === 'refused') {
      await this.refuse(wire, reading.error, reading.command ?? 'get-broker-data', reading.reply);
    } else {
      await this.answer(wire, reading.message);
    }
  }

  private async answer(wire: RevisionWire, message: ActivationInbound): Promise<void> {
    const { waiting, log } = this.parts;
    let entry: WaitingActivation | undefined;
    try {
      const found = await waiting.byCode(message.activationCode);
      entry = found;
      await withOnboarding(found.onboardingId, async () => {
        const answer = await traced('discovery.claim', () => this.answerTo(found, message));
        await this.send(wire, answer, message.reply);
        log.info({ deviceId: found.deviceId, command: message.kind }, 'a device that is being added was answered');
      });
    } catch (cause) {
      const error = toMqtt2goError(cause);
      if (entry === undefined && message.kind === 'get-broker-data' && (await this.answerRelocated(wire, message)))
        return;
      this.note(error, message.kind, entry);
      await this.refuse(wire, error, message.kind, message.reply);
    }
  }

  /** Of a device that waits for no activation; one that does is told of that. */
  private async answerRelocated(wire: RevisionWire, { activationCode, reply }: ActivationInbound): Promise<boolean> {
    const { relocations, log } = this.parts;
    const relocated = await relocations.byCode(activationCode).catch((error: unknown) => {
      log.warn({ err: error }, 'a device that may have been relocated could not be looked for');
      return undefined;
    });
    if (relocated === undefined) return false;
    await this.send(wire, relocated.answer, reply);
    log.info({ deviceId: relocated.deviceId }, 'a device was told where its home has gone');
    return true;
  }

  private answerTo(entry: WaitingActivation, message: ActivationInbound): Promise<Outbound> {
    const { desk, isGateway } = this.parts;
    if (message.kind === 'get-broker-data') return desk.brokerData(entry, message.csr);
    if (!isGateway) throw new Mqtt2goError('unknown_command', 'This is a Discovery server, and no gateway of a home.');
    return message.kind === 'get-credentials' ? desk.credentials(entry, message.csr) : desk.wifi(entry);
  }

  /** By the code alone nobody knows which device it was; the broker lets in whoever has a manufacturer's certificate. */
  private note({ code }: Mqtt2goError, command: ActivationInbound['kind'], entry: WaitingActivation | undefined): void {
    if (code === 'internal' || code === 'unavailable' || code === 'timeout') return;
    this.parts.audit.note({
      actor: { kind: 'device', id: entry?.deviceId ?? 'unknown' },
      action: 'request.refused',
      deviceId: entry?.deviceId,
      onboardingId: entry?.onboardingId,
      outcome: code,
      details: { command },
    });
  }

  private async refuse(
    wire: RevisionWire,
    error: Mqtt2goError,
    command: Inbound['kind'],
    reply: ReplyPath | undefined,
  ): Promise<void> {
    const { metrics, log } = this.parts;
    metrics.refused(error.code);
    if (error.code === 'internal') {
      log.error({ err: error }, 'a device that is being added could not be answered');
    } else {
      log.warn({ code: error.code, reason: error.message }, 'a request of a device was refused');
    }
    if (reply !== undefined) {
      await this.send(wire, { kind: 'command-refused', command, error }, reply);
    }
  }

  private async send(wire: RevisionWire, message: Outbound, reply: ReplyPath): Promise<void> {
    await this.parts.traffic.publish(wire.write(message, reply, this.parts.clock.now()));
  }
}
