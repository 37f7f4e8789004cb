/** The time, given in rather than looked up, so that 15 minutes can pass in a test at once. */
export abstract class Clock {
  /** Unix time in milliseconds, UTC. */
  abstract now(): number;
}

/** The machine's clock. */
export class SystemClock extends Clock {
  override now(): number {
    return Date.now();
  }
}

/** A clock that stands still until it is moved. */
export class FakeClock extends Clock {
  constructor(private nowMs: number = Date.UTC(2026, 0, 1)) {
    super();
  }
  override now(): number {
    return this.nowMs;
  }
  advance(ms: number): void {
    this.nowMs += ms;
  }
}
