import { type Bus, discovery } from '@mqtt2go/messaging';
import type { ActivateDeviceRequest } from '@mqtt2go/protocol';
import { whileAsked } from '../settings.js';
import { Announcer } from './announcer.js';

/** Over the service bus, where the activation desk has no REST side. */
export class BusAnnouncer extends Announcer {
  constructor(private readonly bus: Bus) {
    super();
  }

  override async announce(device: ActivateDeviceRequest): Promise<void> {
    const { onboarding_id: onboardingId } = device;
    await this.bus.call(discovery.announceActivation, device, { onboardingId, ...whileAsked });
  }

  override async withdraw(deviceId: string, onboardingId: string, announcedUntilMs?: number): Promise<void> {
    const input = { deviceId, onboardingId, ...(announcedUntilMs === undefined ? {} : { announcedUntilMs }) };
    await this.bus.call(discovery.withdrawActivation, input, { onboardingId, retries: 0 });
  }
}
