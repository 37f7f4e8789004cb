import type { HomeInbound } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { Activation } from '../activation/activation.js';
import { Naming } from '../naming/naming.js';
import { RenewalDesk } from '../renewal/renewal-desk.js';
import { DeviceTopicsDesk } from '../topics/device-topics.js';

/** Whose each message of the home brokers is. */
@Injectable()
export class HomeDesks {
  constructor(
    private readonly activation: Activation,
    private readonly topics: DeviceTopicsDesk,
    private readonly naming: Naming,
    private readonly renewals: RenewalDesk,
  ) {}

  /** True if the home's gateway answers what is said on this broker, too. */
  isServedInHouse(homeId: string, gatewayId: string): Promise<boolean> {
    return this.activation.isServedInHouse(homeId, gatewayId);
  }

  /**
   * @param digest tells a message that is delivered twice from one that is sent twice
   * @param slowed called when the answer will be late on purpose
   */
  handle(message: HomeInbound, digest: () => string, slowed: () => void): Promise<void> {
    switch (message.kind) {
      case 'activate-device':
        return this.activation.activate(message, digest(), slowed);
      case 'get-device-topics':
        return this.topics.answer(message);
      case 'rename-device':
        return this.naming.name(message);
      case 'renew-certificate':
        return this.renewals.renew(message);
    }
  }
}
