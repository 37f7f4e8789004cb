import type { Onboarding } from '@mqtt2go/onboarding';
import { withOnboarding } from '@mqtt2go/messaging';
import { type GetDeviceTopics, Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { OnboardingMetrics } from '../onboarding/onboarding-metrics.js';
import { OnboardingRepository } from '../onboarding/onboarding-repository.js';
import { Onboardings } from '../onboarding/onboardings.js';
import { HomeStandings } from '../moving/home-standings.js';
import { HomeReplies } from '../traffic/home-replies.js';

/** Steps 9, 10 and 12: a device at its home's broker asks for its topics. */
@Injectable()
export class DeviceTopicsDesk {
  constructor(
    private readonly onboardings: Onboardings,
    private readonly repository: OnboardingRepository,
    private readonly metrics: OnboardingMetrics,
    private readonly standings: HomeStandings,
    private readonly replies: HomeReplies,
  ) {}

  /**
   * Has the controller asked for a name, or tells the device its topics, or where its home has gone; resolves when that is sent.
   * @throws Mqtt2goError unknown_device, activation_expired, conflict; unavailable
   */
  async answer({ deviceId, reply }: GetDeviceTopics): Promise<void> {
    const known = this.onboardings.known(deviceId);
    const fresh = known?.certified !== true;
    const onboarding = fresh ? await this.read(deviceId) : known;
    if (!onboarding) throw new Mqtt2goError('unknown_device');
    const moved = this.standings.redirectOf(onboarding.homeId);
    if (moved !== undefined) {
      const message = { kind: 'broker-moved', brokerHost: moved.host, brokerPort: moved.port } as const;
      return this.replies.send([{ to: reply, message }]);
    }
    await withOnboarding(onboarding.onboardingId, () =>
      this.metrics.measure('arrive', async () => {
        const { refusal, sent } = await this.onboardings.happen(
          onboarding,
          { kind: 'device-arrived', reply },
          { fresh },
        );
        await sent;
        if (refusal) throw refusal;
        await this.standings.arrived(onboarding.homeId, deviceId);
      }),
    );
  }

  /**
   * The onboarding by which the device is here. One that has not let the device in does not count while the device
   * is at home by an earlier one: it has another home's broker, or its new certificate, still before it.
   */
  private async read(deviceId: string): Promise<Onboarding | undefined> {
    const present = await this.repository.present(deviceId);
    const arrived = present.find((onboarding) => onboarding.certified);
    return arrived ?? present[0] ?? (await this.repository.newest(deviceId));
  }
}
