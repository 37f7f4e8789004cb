import { Bus, certificateAuthority, topicGenerator } from '@mqtt2go/messaging';
import type { Onboarding } from '@mqtt2go/onboarding';
import { Injectable } from '@nestjs/common';
import { FactoryRegistry } from '../factory/factory-registry.js';
import { whileAsked } from '../settings.js';

export interface DeviceKey {
  /** PEM SubjectPublicKeyInfo; looked up in the factory record when it is needed and not given. */
  readonly publicKey?: string | undefined;
  /** PEM PKCS#10, in the `csr` key mode. */
  readonly csr?: string | undefined;
}

/** Step 2, first half: the device's certificate, and the home broker's door for it. Both can be asked for again. */
@Injectable()
export class Certifying {
  constructor(
    private readonly bus: Bus,
    private readonly factory: FactoryRegistry,
  ) {}

  /**
   * Has the certificate issued and let in; answers the PEM bundle.
   * @throws Mqtt2goError csr_required, csr_invalid, csr_name_mismatch, csr_key_mismatch, key_not_accepted,
   * device_already_active; unavailable, timeout
   */
  async certify(onboarding: Onboarding, key: DeviceKey = {}): Promise<string> {
    const { onboardingId, deviceId, homeId, gatewayId, deviceType } = onboarding;
    const { deviceCertificate, serialNumber } = await this.issue(onboarding, key);
    await this.bus.call(
      topicGenerator.admitDevice,
      { onboardingId, deviceId, homeId, gatewayId, deviceType, serialNumber },
      { onboardingId, ...whileAsked },
    );
    return deviceCertificate;
  }

  /** The bundle of a certificate that has been issued before. Same errors as {@link certify}. */
  async bundleOf(onboarding: Onboarding, key: DeviceKey = {}): Promise<string> {
    return (await this.issue(onboarding, key)).deviceCertificate;
  }

  private async issue(
    { onboardingId, deviceId, keyMode }: Onboarding,
    { publicKey, csr }: DeviceKey,
  ): Promise<{ serialNumber: string; deviceCertificate: string }> {
    const known = keyMode === 'existing-key' ? (publicKey ?? (await this.factory.publicKeyOf(deviceId))) : undefined;
    return this.bus.call(
      certificateAuthority.issueDeviceCertificate,
      {
        onboardingId,
        deviceId,
        keyMode,
        ...(known === undefined ? {} : { publicKey: known }),
        ...(csr === undefined ? {} : { csr }),
      },
      { onboardingId, ...whileAsked },
    );
  }
}
