import type { Onboarding } from '@mqtt2go/onboarding';
import { ruleOf } from '@mqtt2go/onboarding';

const capacity = 4_096;

/**
 * The open onboardings that this process has touched last, so that the good way needs no reading. It may be
 * behind when another replica was faster: a change based on it then fails its compare-and-set, and an
 * answer based on it that changes nothing is checked against the table first.
 */
export class OnboardingCache {
  private readonly byId = new Map<string, Onboarding>();
  private readonly idOfDevice = new Map<string, string>();

  byOnboarding(onboardingId: string): Onboarding | undefined {
    return this.byId.get(onboardingId);
  }

  byDevice(deviceId: string): Onboarding | undefined {
    const onboardingId = this.idOfDevice.get(deviceId);
    return onboardingId === undefined ? undefined : this.byId.get(onboardingId);
  }

  put(onboarding: Onboarding): void {
    const { onboardingId, deviceId } = onboarding;
    this.remove(onboarding);
    if (!ruleOf(onboarding.state).open) return;
    this.byId.set(onboardingId, onboarding);
    this.idOfDevice.set(deviceId, onboardingId);
    const [oldest] = this.byId.values();
    if (oldest && this.byId.size > capacity) this.remove(oldest);
  }

  private remove({ onboardingId, deviceId }: Onboarding): void {
    this.byId.delete(onboardingId);
    if (this.idOfDevice.get(deviceId) === onboardingId) this.idOfDevice.delete(deviceId);
  }
}
