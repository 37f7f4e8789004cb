import { Answers, discovery } from '@mqtt2go/messaging';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { announcementOf } from './announcement.js';
import { WaitingActivations } from './waiting-activations.js';

/** Step 2 over the service bus, for the profiles that have no Discovery server. */
@Controller()
export class AnnouncementsController {
  constructor(private readonly waiting: WaitingActivations) {}

  @Answers(discovery.announceActivation)
  async announceActivation(
    body: z.output<typeof discovery.announceActivation.input>,
  ): Promise<z.input<typeof discovery.announceActivation.output>> {
    const { expiresAtMs } = await this.waiting.announce(announcementOf(body));
    return {
      device_id: body.device_id,
      onboarding_id: body.onboarding_id,
      expires_at: new Date(expiresAtMs).toISOString(),
    };
  }

  @Answers(discovery.withdrawActivation)
  async withdrawActivation({
    deviceId,
    onboardingId,
    announcedUntilMs,
  }: z.output<typeof discovery.withdrawActivation.input>): Promise<
    z.input<typeof discovery.withdrawActivation.output>
  > {
    await this.waiting.withdraw(deviceId, onboardingId, announcedUntilMs);
    return {};
  }
}
