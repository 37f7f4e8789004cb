/** The time, given in rather than looked up, so that 15 minutes can pass in a test at once. */
export abstract class Clock {
  /** Unix time in milliseconds, UTC. */
  abstract now(): number;

  /** True while nothing more is known than that it is {@link now} or later: the machine's own clock is wrong. */
  get isFloor(): boolean {
    return false;
  }

  /**
   * Names what has to be moved along when the time is corrected: times in the future that were reckoned from the time
   * before. It has been told, and is done, before {@link now} gives the corrected time. Most clocks are never corrected.
   * @returns the way to take it back
   */
  onCorrection(_move: ClockCorrection): () => void {
    return () => undefined;
  }
}

/** @param byMs what has to be added, in milliseconds; negative when the time goes back */
export type ClockCorrection = (byMs: number) => Promise<void>;

/** The machine's clock. */
export class SystemClock extends Clock {
  override now(): number {
    return Date.now();
  }
}

/** A clock that stands still until it is moved. */
export class FakeClock extends Clock {
  readonly #moves = new Set<ClockCorrection>();

  constructor(private nowMs: number = Date.UTC(2026, 0, 1)) {
    super();
  }
  override now(): number {
    return this.nowMs;
  }
  advance(ms: number): void {
    this.nowMs += ms;
  }
  override onCorrection(move: ClockCorrection): () => void {
    this.#moves.add(move);
    return () => this.#moves.delete(move);
  }
  /** Has told a wrong time so far. */
  async correct(byMs: number): Promise<void> {
    await Promise.all([...this.#moves].map((move) => move(byMs)));
    this.advance(byMs);
  }
}
