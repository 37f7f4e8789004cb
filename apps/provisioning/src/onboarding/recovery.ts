import { Injectable } from '@nestjs/common';
import { Networks } from '../network/networks.js';
import { ProvisioningSettings } from '../settings.js';
import { OnboardingDriver } from './onboarding-driver.js';
import { OnboardingRepository } from './onboarding-repository.js';
import { Ticker } from './ticker.js';

const intervalMs = 500;
const batchSize = 200;

/**
 * Takes up steps that nobody works on: of a process that was killed, and those that failed and have rested. A step
 * is leased in the table, so that of several replicas one has it. Networks that were open are opened again, once.
 */
@Injectable()
export class Recovery {
  private readonly ticker: Ticker;
  private networksAreOpen = false;

  constructor(
    private readonly repository: OnboardingRepository,
    private readonly driver: OnboardingDriver,
    private readonly networks: Networks,
    { log }: ProvisioningSettings,
  ) {
    this.ticker = new Ticker(
      intervalMs,
      () => this.recover(),
      (error) => {
        log.warn({ err: error }, 'steps that are owed could not be looked for; trying again');
      },
    );
  }

  start(): void {
    this.ticker.start();
  }

  async stop(): Promise<void> {
    await this.ticker.stop();
  }

  private async recover(): Promise<void> {
    if (!this.networksAreOpen) {
      for (const onboarding of await this.repository.withNetwork()) this.networks.follow(onboarding);
      this.networksAreOpen = true;
    }
    const owed = await this.repository.takeOwed(batchSize);
    for (const { onboarding, attempts } of owed) this.driver.drive(onboarding, { attempts });
  }
}
