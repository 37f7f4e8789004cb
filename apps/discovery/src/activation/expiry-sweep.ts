import type { Clock } from '@mqtt2go/ports';
import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Relocations } from '../relocation/relocations.js';
import type { WaitingActivations } from './waiting-activations.js';

/**
 * Removes what has expired, every few seconds and at the start. A late sweep lets nobody in: dates are looked at anyway.
 * When the time is corrected, each has as much left as before.
 */
@Injectable()
export class ExpirySweep implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;
  private stopMoving = (): void => undefined;

  constructor(
    private readonly swept: { readonly waiting: WaitingActivations; readonly relocations: Relocations },
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly everyMs: number,
  ) {}

  onApplicationBootstrap(): void {
    this.stopMoving = this.clock.onCorrection((byMs) => this.swept.waiting.move(byMs));
    this.run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    this.stopMoving();
    clearTimeout(this.timer);
    await this.running;
  }

  private run(): void {
    this.running = this.sweep().finally(() => {
      if (!this.stopped) this.timer = setTimeout(() => this.run(), this.everyMs).unref();
    });
  }

  private async sweep(): Promise<void> {
    try {
      const count = await this.swept.waiting.sweep();
      await this.swept.relocations.sweep();
      if (count > 0) this.log.info({ count }, 'expired activations were removed');
    } catch (error) {
      this.log.warn({ err: error }, 'expired activations could not be taken off the broker; tried again soon');
    }
  }
}
