import { activationWindowMs } from '@mqtt2go/onboarding';
import { Bus, certificateAuthority, topicGenerator, withOnboarding } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import { Clock } from '@mqtt2go/ports';
import { identifier } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Announcing } from '../announcing/announcing.js';
import { Announcer } from '../announcing/announcer.js';
import { Networks } from '../network/networks.js';
import { OnboardingRepository } from './onboarding-repository.js';

const payload = z.object({ onboardingId: z.uuid(), deviceId: identifier });
/** Rows of an earlier release have no end. */
const withdrawal = payload.extend({ announcedUntilMs: z.int().optional() });
const settlement = payload.extend({
  outcome: z.enum(['completed', 'abandoned']),
  /** Because the home has left. One that has come back without a name since has an end of its own. */
  hasLeft: z.boolean().default(false),
});

/** One try each: the outbox tries again, and holds a connection while it waits. */
const once = { retries: 0 };

/** Carries out, from the outbox, what transitions set off; each effect can be carried out any number of times. */
@Injectable()
export class OnboardingEffects {
  constructor(
    private readonly outbox: Outbox,
    private readonly bus: Bus,
    private readonly announcer: Announcer,
    private readonly announcing: Announcing,
    private readonly repository: OnboardingRepository,
    private readonly networks: Networks,
    private readonly clock: Clock,
  ) {}

  start(): void {
    this.handle('settle-certificate', settlement, async ({ onboardingId, outcome, hasLeft }) => {
      if (hasLeft && (await this.repository.find(onboardingId))?.state !== 'active') return;
      await this.bus.call(certificateAuthority.settleOnboardingCertificate, { onboardingId, outcome }, once);
    });
    this.handle('withdraw-device', payload, async ({ onboardingId, deviceId }) => {
      await this.bus.call(topicGenerator.withdrawDevice, { onboardingId, deviceId }, once);
    });
    this.handle('withdraw-announcement', withdrawal, async ({ onboardingId, deviceId, announcedUntilMs }) => {
      await this.announcer.withdraw(deviceId, onboardingId, announcedUntilMs);
    });
    this.handle('close-network', payload, ({ onboardingId }) => this.networks.close(onboardingId));
    this.handle('announce-again', payload, ({ onboardingId }) => this.announceAgain(onboardingId));
    this.outbox.start();
  }

  /** For a device that has arrived, and may have lost all since; for the standard's 15 minutes only. */
  private async announceAgain(onboardingId: string): Promise<void> {
    const onboarding = await this.repository.find(onboardingId);
    if (onboarding?.state !== 'awaiting-name' || !onboarding.announcedAgain) return;
    const expiresAtMs = onboarding.requestedAtMs + activationWindowMs;
    if (expiresAtMs > this.clock.now()) await this.announcing.announce(onboarding, undefined, expiresAtMs);
  }

  private handle<P extends z.ZodType<{ onboardingId: string }>>(
    kind: string,
    schema: P,
    work: (payload: z.output<P>) => Promise<void>,
  ): void {
    this.outbox.on(kind, async (stored) => {
      const parsed = schema.parse(stored);
      await withOnboarding(parsed.onboardingId, () => work(parsed));
    });
  }
}
