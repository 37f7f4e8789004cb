/** Runs `work` after a while, without keeping the process alive. Returns the way to call it off. */
export type Schedule = (delayMs: number, work: () => void) => () => void;

export const timerSchedule: Schedule = (delayMs, work) => {
  const timer = setTimeout(work, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};

/** One try of a code. */
export interface Attempt {
  /** Who tries: the certificate, whatever connection it comes by. */
  readonly certificate: string;
  readonly code: string;
  /** Asked when it is this attempt's turn, and again when its delay is over. */
  readonly isRight: () => boolean;
  /** False once nobody waits for the outcome any more. */
  readonly isWanted: () => boolean;
  readonly done: (isRight: boolean) => void;
}

export interface GuessLimits {
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** Wrong attempts are forgotten after so long without one. */
  readonly quietMs: number;
  /** Attempts of one certificate that may wait for their turn; further ones fail at once, right or wrong. */
  readonly maxWaiting: number;
  /** Certificates and codes whose wrong attempts are remembered. */
  readonly maxRemembered: number;
}

export const defaultGuessLimits: GuessLimits = {
  firstDelayMs: 100,
  longestDelayMs: 30_000,
  quietMs: 15 * 60_000,
  maxWaiting: 8,
  maxRemembered: 10_000,
};

interface Lane {
  readonly waiting: Attempt[];
  isBusy: boolean;
  /** Ends the delay of the attempt that is under way. */
  release: (() => void) | undefined;
}

/**
 * Slows the guessing of activation codes. A certificate has one attempt at a time, so that a right guess
 * cannot be told from the wrong ones beside it; after the first wrong attempt each further one waits twice
 * as long for its refusal, by its certificate's count or its code's, whichever is higher. A right attempt
 * never waits for itself and never for what others did: counts only ever delay refusals.
 */
export class GuessThrottle {
  readonly #nowMs: () => number;
  readonly #schedule: Schedule;
  readonly #limits: GuessLimits;
  readonly #lanes = new Map<string, Lane>();
  readonly #byCertificate: WrongCounts;
  readonly #byCode: WrongCounts;

  /** @param nowMs a clock that only goes forward, whatever is done to the system's */
  constructor(
    schedule: Schedule = timerSchedule,
    limits: GuessLimits = defaultGuessLimits,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#nowMs = nowMs;
    this.#schedule = schedule;
    this.#limits = limits;
    this.#byCertificate = new WrongCounts(limits);
    this.#byCode = new WrongCounts(limits);
  }

  attempt(attempt: Attempt): void {
    const lane = this.#lanes.get(attempt.certificate) ?? { waiting: [], isBusy: false, release: undefined };
    if (lane.waiting.length >= this.#limits.maxWaiting) return attempt.done(false);
    this.#lanes.set(attempt.certificate, lane);
    lane.waiting.push(attempt);
    this.#next(attempt.certificate, lane);
  }

  /**
   * The certificate has been given a new code to know: what it tried before is forgotten, and an attempt
   * that waits for its refusal is looked at again now, so that a device which was switched on early gets
   * in the moment its owner adds it.
   */
  expect(certificate: string): void {
    this.#byCertificate.forget(certificate);
    this.#lanes.get(certificate)?.release?.();
  }

  #next(certificate: string, lane: Lane): void {
    if (lane.isBusy) return;
    const attempt = lane.waiting.shift();
    if (attempt === undefined) {
      this.#lanes.delete(certificate);
      return;
    }
    if (!attempt.isWanted()) return this.#next(certificate, lane);
    lane.isBusy = true;
    const finish = (): void => {
      lane.release = undefined;
      attempt.done(attempt.isRight());
      lane.isBusy = false;
      this.#next(certificate, lane);
    };
    const delayMs = attempt.isRight() ? 0 : this.#delayOfWrong(attempt);
    if (delayMs === 0) return finish();
    const callOff = this.#schedule(delayMs, finish);
    lane.release = () => {
      callOff();
      finish();
    };
  }

  #delayOfWrong({ certificate, code }: Attempt): number {
    const nowMs = this.#nowMs();
    const count = Math.max(this.#byCertificate.add(certificate, nowMs), this.#byCode.add(code, nowMs));
    if (count <= 1) return 0;
    return Math.min(this.#limits.longestDelayMs, this.#limits.firstDelayMs * 2 ** (count - 2));
  }
}

/** Counts per name, the least recently used forgotten first. */
class WrongCounts {
  readonly #counts = new Map<string, { count: number; lastMs: number }>();
  constructor(private readonly limits: GuessLimits) {}

  /** One more; returns how many there are now. */
  add(name: string, nowMs: number): number {
    const before = this.#counts.get(name);
    const isFresh = before !== undefined && nowMs - before.lastMs < this.limits.quietMs;
    const count = (isFresh ? before.count : 0) + 1;
    this.#counts.delete(name);
    this.#counts.set(name, { count, lastMs: nowMs });
    for (const oldest of this.#counts.keys()) {
      if (this.#counts.size <= this.limits.maxRemembered) break;
      this.#counts.delete(oldest);
    }
    return count;
  }

  forget(name: string): void {
    this.#counts.delete(name);
  }
}
