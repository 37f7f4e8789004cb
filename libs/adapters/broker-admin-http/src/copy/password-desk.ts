import type { PasswordHash } from '@mqtt2go/access';
import { verifyPassword } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';

export interface PasswordLimits {
  /** Node's thread pool has four threads, and names and disks want some too. */
  readonly maxAtOnce: number;
  readonly maxWaiting: number;
  readonly maxWaitingPerName: number;
  /** A refusal is held back for so long after the second wrong password in a row, and twice as long after each further one. */
  readonly firstDelayMs: number;
  /** Brokers give up on a sign-in after 10 seconds. */
  readonly longestDelayMs: number;
  /** Wrong passwords are forgotten after so long without one. */
  readonly quietMs: number;
  /** Names whose wrong passwords are remembered. */
  readonly maxRemembered: number;
}

export const defaultPasswordLimits: PasswordLimits = {
  maxAtOnce: 2,
  maxWaiting: 500,
  maxWaitingPerName: 8,
  firstDelayMs: 100,
  longestDelayMs: 3_000,
  quietMs: 15 * 60_000,
  maxRemembered: 10_000,
};

/** An unknown user takes as long as a known one. */
const nobody: PasswordHash = {
  algorithm: 'pbkdf2-sha512',
  iterations: 1_000,
  salt: 'AAAAAAAAAAAAAAAAAAAAAA==',
  hash: Buffer.alloc(64).toString('base64'),
};
const maxPasswordLength = 256;

/**
 * Checks passwords off the event loop, a few at once, and slows guessing: refusals of a name are held back ever longer,
 * while the right password is never delayed by what others tried. Nothing is remembered of what was right.
 */
export class PasswordDesk {
  readonly #clock: Clock;
  readonly #limits: PasswordLimits;
  readonly #waiting: (() => void)[] = [];
  readonly #underWay = new Map<string, number>();
  readonly #wrong = new Map<string, { count: number; lastMs: number }>();
  #running = 0;
  #iterations = nobody.iterations;

  constructor(clock: Clock, limits: PasswordLimits = defaultPasswordLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * @param expected undefined for an unknown name: false, after the usual time
   * @throws Mqtt2goError `too_many_attempts` when too many are waiting already, for this name or in all
   */
  async isRight(name: string, password: string, expected: PasswordHash | undefined): Promise<boolean> {
    if (password.length > maxPasswordLength) return false;
    this.#iterations = expected?.iterations ?? this.#iterations;
    const leave = await this.#enter(name);
    let isRight: boolean;
    try {
      const matches = await verifyPassword(password, expected ?? { ...nobody, iterations: this.#iterations });
      isRight = matches && expected !== undefined;
    } finally {
      leave();
    }
    if (isRight) this.#wrong.delete(name);
    else await delay(this.#delayOfWrong(name));
    return isRight;
  }

  async #enter(name: string): Promise<() => void> {
    const { maxAtOnce, maxWaiting, maxWaitingPerName } = this.#limits;
    const underWay = this.#underWay.get(name) ?? 0;
    if (underWay >= maxWaitingPerName || (this.#running >= maxAtOnce && this.#waiting.length >= maxWaiting)) {
      throw new Mqtt2goError('too_many_attempts', 'Too many sign-ins at once.');
    }
    this.#underWay.set(name, underWay + 1);
    if (this.#running >= maxAtOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    return () => {
      const left = (this.#underWay.get(name) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(name);
      else this.#underWay.set(name, left);
      const next = this.#waiting.shift();
      // The place goes on to the next one.
      if (next === undefined) this.#running -= 1;
      else next();
    };
  }

  #delayOfWrong(name: string): number {
    const { firstDelayMs, longestDelayMs, quietMs, maxRemembered } = this.#limits;
    const nowMs = this.#clock.now();
    const before = this.#wrong.get(name);
    const count = (before !== undefined && nowMs - before.lastMs < quietMs ? before.count : 0) + 1;
    this.#wrong.delete(name);
    this.#wrong.set(name, { count, lastMs: nowMs });
    for (const oldest of this.#wrong.keys()) {
      if (this.#wrong.size <= maxRemembered) break;
      this.#wrong.delete(oldest);
    }
    return count === 1 ? 0 : Math.min(longestDelayMs, firstDelayMs * 2 ** (count - 2));
  }
}

async function delay(ms: number): Promise<void> {
  if (ms > 0) {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, ms).unref();
    });
  }
}
