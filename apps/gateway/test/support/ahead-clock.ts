import { FakeClock } from '@mqtt2go/ports';

/** Runs on the machine's time, and can be put ahead of it. */
export class AheadClock extends FakeClock {
  private aheadMs = 0;

  override now(): number {
    return Date.now() + this.aheadMs;
  }

  override advance(ms: number): void {
    this.aheadMs += ms;
  }

  reset(): void {
    this.aheadMs = 0;
  }
}
