import { Clock, type ClockCorrection } from './clock.js';

const yearMs = 365.25 * 86_400_000;
/** A step of the system's clock that is taken as it comes: forward at once, back by standing still. */
const smallStepMs = 60_000;
/** How far after the program was built a time is believed: as long as anything that it issues is valid. */
const believedForMs = 20 * yearMs;

export interface FloorClockOptions {
  /** When the program was built, Unix time in milliseconds: no time before it can be right. */
  readonly builtAtMs: number;
  /** The latest time that is known to have been, from the last run. */
  readonly lastKnownMs?: number | undefined;
  /** Whether the system knows its clock to be right, from a time server. */
  readonly isSynchronised: () => Promise<boolean>;
  /** The system's clock; Unix time in milliseconds. */
  readonly systemMs?: () => number;
  /** Milliseconds since some moment, whatever is done to the system's clock. */
  readonly monotonicMs?: () => number;
  /** The same, counting on while the machine sleeps; that above where there is none. */
  readonly bootMs?: () => number;
}

/**
 * What is thought of the system's clock. `right`: it is followed. `behind`: it tells a time before what is known to have
 * been. `ahead`: it has jumped, and is followed as soon as what has to be moved has been. `unbelievable`: decades after
 * the program was built.
 */
export type SystemClockState = 'right' | 'behind' | 'ahead' | 'unbelievable';

/**
 * The time on a machine whose own clock may be wrong: without a battery it starts in 1970 and is set by a time server some
 * time later, or never. The time never runs before what is known to have been (the program's making, the last time that was
 * stored), and goes on from there by itself. It follows the system's clock as soon as that tells a later time, and goes
 * back with it only when the system knows it to be right.
 */
export class FloorClock extends Clock {
  readonly #builtAtMs: number;
  readonly #isSynchronised: () => Promise<boolean>;
  readonly #systemMs: () => number;
  readonly #monotonicMs: () => number;
  readonly #bootMs: () => number;
  readonly #moves = new Set<ClockCorrection>();
  /** Of a correction that failed halfway: by how much each has been moved already. */
  readonly #moved = new Map<ClockCorrection, number>();
  /** What is added to the monotonic time. */
  #offsetMs: number;
  /** How much longer the machine has been up than the monotonic time has counted. */
  #sleptMs: number;
  #state: SystemClockState = 'right';
  #latestMs = 0;
  #checking: Promise<SystemClockState> | undefined;

  constructor(options: FloorClockOptions) {
    super();
    const { builtAtMs, lastKnownMs = 0, isSynchronised } = options;
    this.#builtAtMs = builtAtMs;
    this.#isSynchronised = isSynchronised;
    this.#systemMs = options.systemMs ?? Date.now;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
    this.#bootMs = options.bootMs ?? this.#monotonicMs;
    this.#sleptMs = this.#bootMs() - this.#monotonicMs();
    const floorMs = this.#isBelievable(lastKnownMs) ? Math.max(builtAtMs, lastKnownMs) : builtAtMs;
    const systemMs = this.#systemMs();
    const startMs = this.#isBelievable(systemMs) ? Math.max(floorMs, systemMs) : floorMs;
    this.#offsetMs = startMs - this.#monotonicMs();
    this.#state = this.#judge();
  }

  /** Never less than it was, except after a correction. */
  override now(): number {
    const countedMs = this.#countedMs();
    const systemMs = this.#systemMs();
    const isClose = Math.abs(systemMs - countedMs) <= smallStepMs;
    if (isClose) this.#offsetMs += systemMs - countedMs;
    this.#latestMs = Math.max(this.#latestMs, isClose ? systemMs : countedMs);
    return this.#latestMs;
  }

  override onCorrection(move: ClockCorrection): () => void {
    this.#moves.add(move);
    return () => this.#moves.delete(move);
  }

  override get isFloor(): boolean {
    return this.#judge() !== 'right';
  }

  /** As of the last {@link check}. */
  get state(): SystemClockState {
    return this.#state;
  }

  /** How far the system's clock is from this one, in milliseconds; negative when it is behind. */
  get systemOffsetMs(): number {
    return this.#systemMs() - this.now();
  }

  /**
   * Compares with the system's clock, and corrects the time if that has to be; to be called every second or so.
   * @throws what could not be moved along: the time stays as it is, and the next call tries again
   */
  check(): Promise<SystemClockState> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #check(): Promise<SystemClockState> {
    this.#countSleep();
    this.#state = this.#judge();
    if (this.#state === 'ahead' || (this.#state === 'behind' && (await this.#knowsBetter()))) {
      await this.#correct();
      this.#state = this.#judge();
    }
    return this.#state;
  }

  /** Time slept has passed: it is no correction, and what has ended meanwhile has ended. */
  #countSleep(): void {
    const sleptMs = this.#bootMs() - this.#monotonicMs();
    // Uptimes are told in hundredths of a second.
    if (sleptMs - this.#sleptMs < 1_000) return;
    this.#offsetMs += sleptMs - this.#sleptMs;
    this.#sleptMs = sleptMs;
  }

  async #correct(): Promise<void> {
    const byMs = this.#systemMs() - this.#countedMs();
    await Promise.all(
      [...this.#moves].map(async (move) => {
        await move(byMs - (this.#moved.get(move) ?? 0));
        this.#moved.set(move, byMs);
      }),
    );
    this.#moved.clear();
    this.#offsetMs += byMs;
    if (byMs < 0) this.#latestMs = this.#countedMs();
  }

  #judge(): SystemClockState {
    const systemMs = this.#systemMs();
    const aheadMs = systemMs - this.#countedMs();
    if (Math.abs(aheadMs) <= smallStepMs) return 'right';
    if (aheadMs < 0) return 'behind';
    return this.#isBelievable(systemMs) ? 'ahead' : 'unbelievable';
  }

  async #knowsBetter(): Promise<boolean> {
    return this.#isBelievable(this.#systemMs()) && (await this.#isSynchronised());
  }

  #isBelievable(timeMs: number): boolean {
    return timeMs >= this.#builtAtMs && timeMs <= this.#builtAtMs + believedForMs;
  }

  #countedMs(): number {
    return this.#monotonicMs() + this.#offsetMs;
  }
}
