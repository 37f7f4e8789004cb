import { withOnboarding } from '@mqtt2go/messaging';
import { Clock } from '@mqtt2go/ports';
import { Injectable } from '@nestjs/common';
import { ProvisioningSettings } from '../settings.js';
import { OnboardingRepository } from './onboarding-repository.js';
import { Onboardings } from './onboardings.js';
import { Ticker } from './ticker.js';

const intervalMs = 1_000;
const batchSize = 100;
/** How long an onboarding that came to nothing can be looked up. */
const keptMs = 30 * 24 * 3_600_000;
const cleanUpIntervalMs = 3_600_000;
const cleanUpBatchSize = 1_000;

/**
 * Ends onboardings whose time is up within a second, whenever the service runs; one that is touched after its
 * deadline and before the sweep has ended by then, too. What came to nothing is removed after a month. When the time is
 * corrected, each has as much left as before.
 */
@Injectable()
export class Expiry {
  private readonly sweeper: Ticker;
  private readonly cleaner: Ticker;
  private stopMoving = (): void => undefined;

  constructor(
    private readonly repository: OnboardingRepository,
    private readonly onboardings: Onboardings,
    private readonly clock: Clock,
    { log }: ProvisioningSettings,
  ) {
    this.sweeper = new Ticker(
      intervalMs,
      () => this.sweep(),
      (error) => {
        log.warn({ err: error }, 'overdue onboardings could not be ended; trying again');
      },
    );
    this.cleaner = new Ticker(
      cleanUpIntervalMs,
      () => this.cleanUp(),
      (error) => {
        log.warn({ err: error }, 'old onboardings could not be removed');
      },
    );
  }

  start(): void {
    this.stopMoving = this.clock.onCorrection((byMs) => this.repository.moveDeadlines(byMs));
    this.sweeper.start();
    this.cleaner.start();
  }

  async stop(): Promise<void> {
    this.stopMoving();
    await Promise.all([this.sweeper.stop(), this.cleaner.stop()]);
  }

  private async sweep(): Promise<void> {
    for (;;) {
      const overdue = await this.repository.overdue(this.clock.now(), batchSize);
      await Promise.all(
        overdue.map((onboarding) =>
          withOnboarding(onboarding.onboardingId, () =>
            this.onboardings.happen(onboarding, { kind: 'expire' }, { fresh: true }),
          ),
        ),
      );
      if (overdue.length < batchSize) return;
    }
  }

  private async cleanUp(): Promise<void> {
    const beforeMs = this.clock.now() - keptMs;
    while ((await this.repository.removeEnded(beforeMs, cleanUpBatchSize)) === cleanUpBatchSize) {
      // A full batch: there may be more.
    }
  }
}
