import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { GuessGuard } from './activation/guess-guard.js';
import { HomeStandings } from './moving/home-standings.js';
import { Networks } from './network/networks.js';
import { Expiry } from './onboarding/expiry.js';
import { OnboardingDriver } from './onboarding/onboarding-driver.js';
import { OnboardingEffects } from './onboarding/onboarding-effects.js';
import { Recovery } from './onboarding/recovery.js';
import { HomeTraffic } from './traffic/home-traffic.js';

/** What runs by itself, started and stopped in the order that loses nothing. */
@Injectable()
export class ProvisioningRuntime implements OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    private readonly traffic: HomeTraffic,
    private readonly driver: OnboardingDriver,
    private readonly recovery: Recovery,
    private readonly expiry: Expiry,
    private readonly effects: OnboardingEffects,
    private readonly guard: GuessGuard,
    private readonly standings: HomeStandings,
    private readonly networks: Networks,
  ) {}

  /** @throws Mqtt2goError `forbidden` when the home broker refuses a subscription */
  async onApplicationBootstrap(): Promise<void> {
    await this.standings.start();
    this.effects.start();
    this.driver.start();
    this.recovery.start();
    this.expiry.start();
    this.networks.start();
    await this.traffic.start();
  }

  /** First nothing new, then the end of what runs, while all it needs is there. */
  async onModuleDestroy(): Promise<void> {
    this.guard.stop();
    await Promise.all([this.recovery.stop(), this.expiry.stop(), this.standings.stop()]);
    await this.driver.stop();
    await this.networks.stop();
    await this.traffic.stop();
  }
}
