import { createHash } from 'node:crypto';
import { RevisionRegistry } from '@mqtt2go/plugin-api';
import { type HomeInbound, toMqtt2goError, topics } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { ProvisioningSettings } from '../settings.js';
import { HomeBrokers } from './home-brokers.js';
import { HomeDesks } from './home-desks.js';
import { Refusals } from './refusals.js';

/** The home brokers' messages: read by their revision, handed to whose they are, refused in a report. */
@Injectable()
export class HomeTraffic {
  constructor(
    private readonly brokers: HomeBrokers,
    private readonly revisions: RevisionRegistry,
    private readonly desks: HomeDesks,
    private readonly refusals: Refusals,
    private readonly settings: ProvisioningSettings,
  ) {}

  /** @throws Mqtt2goError `forbidden` when the broker refuses a subscription */
  async start(): Promise<void> {
    const filters = this.revisions.homeFilters;
    if (filters.length === 0) {
      this.settings.log.error('no plugin speaks a revision of the standard: nobody is heard on the home broker');
      return;
    }
    await this.brokers.listen(filters, ({ broker, topic, payload }) => this.handle(broker, topic, payload));
  }

  /** Waits for the messages that are being handled. */
  async stop(): Promise<void> {
    await this.brokers.close();
  }

  private async handle(broker: string, topic: string, payload: Buffer): Promise<void> {
    const reading = this.revisions.readHome(topic, payload);
    if (reading.outcome === 'ignored' || (await this.isOfAnother(topic))) return;
    if (reading.outcome === 'refused') {
      await this.refusals.refuse(reading.error, reading.reply && { ...reading.reply, broker }, reading.command);
      return;
    }
    const message = { ...reading.message, reply: { ...reading.message.reply, broker } };
    // An answer that is late on purpose holds up nobody: the message counts as handled meanwhile.
    await new Promise<void>((release) => {
      void this.answer(message, () => digestOf(topic, payload), release).finally(release);
    });
  }

  /** A device's own topics are on one broker only; what concerns a home may be said on the other side of a bridge. */
  private async isOfAnother(topic: string): Promise<boolean> {
    const place = topics.addDevice.parse(topic)?.params;
    return place !== undefined && this.desks.isServedInHouse(place.homeId, place.gatewayId);
  }

  /** Never rejects. */
  private async answer(message: HomeInbound, digest: () => string, slowed: () => void): Promise<void> {
    try {
      await this.desks.handle(message, digest, slowed);
    } catch (error) {
      await this.refusals.refuse(toMqtt2goError(error), message.reply, message.kind, message);
    }
  }
}

/** Tells a message that is delivered twice from one that is sent twice. */
function digestOf(topic: string, payload: Buffer): string {
  return createHash('sha256').update(topic).update('\0').update(payload).digest('base64url');
}
