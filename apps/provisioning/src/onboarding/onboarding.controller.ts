import { Answers, provisioning } from '@mqtt2go/messaging';
import type { Onboarding } from '@mqtt2go/onboarding';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { Claiming } from '../claiming/claiming.js';
import { OnboardingRepository } from './onboarding-repository.js';
import { Onboardings } from './onboardings.js';

/** The onboardings on the bus. */
@Controller()
export class OnboardingController {
  constructor(
    private readonly onboardings: Onboardings,
    private readonly repository: OnboardingRepository,
    private readonly claiming: Claiming,
  ) {}

  @Answers(provisioning.claimOnboarding)
  async claimOnboarding({
    onboardingId,
    csr,
  }: z.output<typeof provisioning.claimOnboarding.input>): Promise<
    z.input<typeof provisioning.claimOnboarding.output>
  > {
    const deviceCertificate = await this.claiming.claim(onboardingId, csr);
    return deviceCertificate === undefined ? {} : { deviceCertificate };
  }

  @Answers(provisioning.getOnboarding)
  async getOnboarding({
    deviceId,
  }: z.output<typeof provisioning.getOnboarding.input>): Promise<z.input<typeof provisioning.getOnboarding.output>> {
    return view(await this.newest(deviceId));
  }

  @Answers(provisioning.cancelOnboarding)
  async cancelOnboarding({
    deviceId,
  }: z.output<typeof provisioning.cancelOnboarding.input>): Promise<
    z.input<typeof provisioning.cancelOnboarding.output>
  > {
    const newest = await this.newest(deviceId);
    return view((await this.onboardings.happen(newest, { kind: 'cancel' }, { fresh: true })).onboarding);
  }

  private async newest(deviceId: string): Promise<Onboarding> {
    const newest = await this.repository.newest(deviceId);
    if (!newest) throw new Mqtt2goError('unknown_onboarding');
    return newest;
  }
}

function view(onboarding: Onboarding): z.input<typeof provisioning.getOnboarding.output> {
  const { onboardingId, deviceId, homeId, gatewayId, state, reason, deadlineMs } = onboarding;
  return {
    onboardingId,
    deviceId,
    homeId,
    gatewayId,
    state,
    ...(reason === undefined ? {} : { reason }),
    deadline: new Date(deadlineMs).toISOString(),
  };
}
