import type { Reply } from '@mqtt2go/onboarding';
import { RevisionRegistry } from '@mqtt2go/plugin-api';
import { Clock } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { ProvisioningSettings } from '../settings.js';
import { HomeBrokers } from './home-brokers.js';

/** Answers to controllers and devices, in the revision that they spoke and on the broker where they did. */
@Injectable()
export class HomeReplies {
  constructor(
    private readonly brokers: HomeBrokers,
    private readonly revisions: RevisionRegistry,
    private readonly clock: Clock,
    private readonly settings: ProvisioningSettings,
  ) {}

  /**
   * Sends replies in their order. Never rejects: what is lost here is lost as on the network, and controllers and devices
   * ask again until they are answered.
   */
  async send(replies: readonly Reply[]): Promise<void> {
    await Promise.all(replies.map((reply) => this.sendOne(reply)));
  }

  private async sendOne({ to, message }: Reply): Promise<void> {
    try {
      await this.brokers.publish(to.broker, this.revisions.get(to.revision).write(message, to, this.clock.now()));
    } catch (error) {
      this.settings.log.warn({ err: error, topic: to.topic, kind: message.kind }, 'a reply could not be sent');
    }
  }
}
