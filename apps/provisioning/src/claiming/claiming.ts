import { advance, isOverdue, type Onboarding } from '@mqtt2go/onboarding';
import { withOnboarding } from '@mqtt2go/messaging';
import { Clock } from '@mqtt2go/ports';
import { type ErrorCode, Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { Certifying } from '../certifying/certifying.js';
import { isTransient } from '../onboarding/onboarding-driver.js';
import { OnboardingMetrics } from '../onboarding/onboarding-metrics.js';
import { OnboardingRepository } from '../onboarding/onboarding-repository.js';
import { Onboardings } from '../onboarding/onboardings.js';

/** What is wrong with one certificate request, and not with the device that sent it. */
const requestFaults: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'csr_required',
  'csr_invalid',
  'csr_name_mismatch',
  'csr_key_mismatch',
  'key_not_accepted',
]);

/** Step 6: the device has shown itself to the Discovery server, which asks before it answers. */
@Injectable()
export class Claiming {
  constructor(
    private readonly onboardings: Onboardings,
    private readonly repository: OnboardingRepository,
    private readonly certifying: Certifying,
    private readonly metrics: OnboardingMetrics,
    private readonly clock: Clock,
  ) {}

  /**
   * Notes that the device takes its credentials. In the `csr` key mode they are made now, and answered.
   * @throws Mqtt2goError unknown_onboarding, activation_expired, csr_*, key_not_accepted, device_already_active;
   * unavailable, timeout
   */
  async claim(onboardingId: string, csr: string | undefined): Promise<string | undefined> {
    const onboarding = await this.onboardings.find(onboardingId);
    if (!onboarding) throw new Mqtt2goError('unknown_onboarding');
    return withOnboarding(onboardingId, () =>
      this.metrics.measure('claim', async () => {
        const certificate = onboarding.keyMode === 'csr' ? await this.certify(onboarding, csr) : undefined;
        const { refusal } = await this.onboardings.happen(onboarding, { kind: 'claimed' });
        if (refusal) throw refusal;
        return certificate;
      }),
    );
  }

  /** Only for an onboarding that can still be claimed: nothing is issued that nobody may have. */
  private async certify(known: Onboarding, csr: string | undefined): Promise<string> {
    const onboarding = (await this.repository.find(known.onboardingId)) ?? known;
    const nowMs = this.clock.now();
    const { refusal } = advance(onboarding, { kind: 'claimed' }, nowMs);
    if (refusal && isOverdue(onboarding, nowMs)) await this.onboardings.happen(onboarding, { kind: 'expire' });
    if (refusal) throw refusal;
    try {
      return onboarding.certified
        ? await this.certifying.bundleOf(onboarding, { csr })
        : await this.certifying.certify(onboarding, { csr });
    } catch (cause) {
      const error = toMqtt2goError(cause);
      // A device may ask again with a better request as long as its window is open; only what no request could
      // mend ends the onboarding.
      if (!isTransient(error) && !requestFaults.has(error.code) && !onboarding.certified) {
        await this.onboardings.happen(onboarding, { kind: 'refuse', error }, { strict: true });
      }
      throw error;
    }
  }
}
