import type { Onboarding } from '@mqtt2go/onboarding';
import { defaultBrokerPort } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { Gateways } from '../activation/gateways.js';
import { Certifying } from '../certifying/certifying.js';
import { HomeBrokers } from '../traffic/home-brokers.js';
import { Announcer } from './announcer.js';

/** Step 2, second half: the Discovery server, or the activation desk of a gateway, learns of the device. */
@Injectable()
export class Announcing {
  constructor(
    private readonly announcer: Announcer,
    private readonly certifying: Certifying,
    private readonly gateways: Gateways,
    private readonly brokers: HomeBrokers,
  ) {}

  /**
   * Announces a device, again if need be.
   * @param certificate the PEM bundle if it is at hand; asked for otherwise
   * @param expiresAtMs the onboarding's deadline by default
   * @throws Mqtt2goError what it is refused with; unavailable, timeout
   */
  async announce(
    onboarding: Onboarding,
    certificate: string | undefined,
    expiresAtMs: number = onboarding.deadlineMs,
  ): Promise<void> {
    const { onboardingId, deviceId, deviceType, keyMode, activationCode } = onboarding;
    if (activationCode === undefined) throw new Error(`the onboarding ${onboardingId} has no activation code any more`);
    const { host, port } = this.brokers.addressOf(await this.gateways.check(onboarding.homeId, onboarding.gatewayId));
    const bundle = keyMode === 'csr' ? undefined : (certificate ?? (await this.certifying.bundleOf(onboarding)));
    await this.announcer.announce({
      device_id: deviceId,
      activation_code: activationCode,
      onboarding_id: onboardingId,
      revision: onboarding.controller.revision,
      broker_ip: host,
      ...(port === defaultBrokerPort ? {} : { broker_port: port }),
      key_mode: keyMode,
      ...(bundle === undefined ? {} : { device_certificate: bundle }),
      device_type: deviceType,
      expires_at: new Date(expiresAtMs).toISOString(),
    });
  }
}
