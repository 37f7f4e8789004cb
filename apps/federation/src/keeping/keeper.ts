import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';

export interface Chore {
  readonly name: string;
  readonly intervalMs: number;
  readonly work: () => Promise<void>;
}

/** Does what is to be done now and then, each by itself and never twice at once; what fails is done the next time. */
export class Keeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly running = new Map<Chore, Promise<void>>();

  constructor(
    private readonly chores: readonly Chore[],
    private readonly log: Logger,
  ) {}

  onApplicationBootstrap(): void {
    for (const chore of this.chores) {
      this.run(chore);
      this.timers.push(setInterval(() => this.run(chore), chore.intervalMs));
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    for (const timer of this.timers.splice(0)) clearInterval(timer);
    await Promise.all(this.running.values());
  }

  private run(chore: Chore): void {
    if (this.running.has(chore)) return;
    const run = chore
      .work()
      .catch((error: unknown) => this.log.warn({ err: error }, `${chore.name}: not this time`))
      .finally(() => this.running.delete(chore));
    this.running.set(chore, run);
  }
}
