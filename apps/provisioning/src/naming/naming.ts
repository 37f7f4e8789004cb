import {
  alreadyNamed,
  type Naming as DeviceNaming,
  isOverdue,
  namingRefusal,
  type Onboarding,
} from '@mqtt2go/onboarding';
import { Bus, topicGenerator, withOnboarding } from '@mqtt2go/messaging';
import { Clock } from '@mqtt2go/ports';
import type { RenameDevice } from '@mqtt2go/protocol';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { OnboardingMetrics } from '../onboarding/onboarding-metrics.js';
import { OnboardingRepository } from '../onboarding/onboarding-repository.js';
import { Onboardings } from '../onboarding/onboardings.js';
import { whileAsked } from '../settings.js';
import { HomeStandings } from '../moving/home-standings.js';

/** Steps 11 and 12: the person has named the device. */
@Injectable()
export class Naming {
  constructor(
    private readonly onboardings: Onboardings,
    private readonly repository: OnboardingRepository,
    private readonly bus: Bus,
    private readonly metrics: OnboardingMetrics,
    private readonly clock: Clock,
    private readonly standings: HomeStandings,
  ) {}

  /**
   * Gives a device its name, groups and topics; resolves when both sides are told.
   * @throws Mqtt2goError unknown_device, activation_expired, conflict, malformed_message, invalid_identifier;
   * unavailable, timeout
   */
  async name(message: RenameDevice): Promise<void> {
    this.standings.requireChangeable(message.homeId);
    const onboarding = await this.find(message);
    await withOnboarding(onboarding.onboardingId, () =>
      this.metrics.measure('name', async () => {
        const topics = alreadyNamed(onboarding, message)
          ? onboarding.topics
          : await this.assignTopics(onboarding, message.groupIds);
        const { homeId, gatewayId, deviceName, groupIds, reply } = message;
        const { refusal, sent } = await this.onboardings.happen(onboarding, {
          kind: 'named',
          homeId,
          gatewayId,
          deviceName,
          groupIds,
          topics,
          reply,
        });
        await sent;
        if (refusal) throw refusal;
      }),
    );
  }

  /** The onboarding that can take the name now. */
  private async find(message: RenameDevice): Promise<Onboarding> {
    const known = this.onboardings.known(message.deviceId);
    if (known && !isOverdue(known, this.clock.now()) && !namingRefusal(known, message)) return known;
    const onboarding = await this.read(message);
    if (onboarding && isOverdue(onboarding, this.clock.now())) {
      const { sent } = await this.onboardings.happen(onboarding, { kind: 'expire' });
      await sent;
      throw new Mqtt2goError('activation_expired');
    }
    const refusal = namingRefusal(onboarding, message);
    if (refusal) throw refusal;
    if (!onboarding) throw new Mqtt2goError('unknown_device');
    return onboarding;
  }

  /** Another home's onboarding of the same device says nothing about this home's. */
  private async read({ homeId, gatewayId, deviceId }: RenameDevice): Promise<Onboarding | undefined> {
    const isHere = (onboarding: DevicePlace): boolean =>
      onboarding.homeId === homeId && onboarding.gatewayId === gatewayId;
    const present = (await this.repository.present(deviceId)).find(isHere);
    if (present) return present;
    const newest = await this.repository.newest(deviceId);
    return newest && isHere(newest) ? newest : undefined;
  }

  private async assignTopics(
    { onboardingId, deviceId }: Onboarding,
    groupIds: readonly string[],
  ): Promise<readonly string[]> {
    const { topics } = await this.bus.call(
      topicGenerator.assignTopics,
      { deviceId, groupIds: [...groupIds] },
      { onboardingId, ...whileAsked },
    );
    return topics;
  }
}

type DevicePlace = Pick<DeviceNaming, 'homeId' | 'gatewayId'>;
