import { Mqtt2goError } from '@mqtt2go/protocol';

const firstDelayMs = 250;
const longestDelayMs = 30_000;
/** Attempts for one device that may wait their turn. */
const mostWaiting = 4;
/** Attempts, of all homes together, that may wait. */
const mostWaitingInAll = 1_000;
/** Devices, of all homes, whose wrong codes are remembered; the one that has been left alone longest is forgotten. */
const capacity = 10_000;
const forgottenAfterMs = 15 * 60_000;

interface Attempts {
  failures: number;
  /** When the next attempt may be looked at. */
  openAtMs: number;
  lastFailureMs: number;
  waiting: number;
}

/**
 * Slows the guessing of activation codes: after each wrong one the answer and the look at the next come later,
 * doubling from a quarter of a second to half a minute. Counted for each home and device on their own: the right
 * home is not slowed by another home's guesses, and is never locked out by its own.
 */
export class GuessGuard {
  private readonly attempts = new Map<string, Attempts>();
  private readonly sleepers = new Map<NodeJS.Timeout, () => void>();
  private waitingInAll = 0;
  private stopped = false;

  /** @param nowMs a clock that only goes forward */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /**
   * Resolves when the attempt's turn has come; `slowed` is called first if that takes time.
   * @throws Mqtt2goError `too_many_attempts` when too many wait already
   */
  async enter(homeId: string, deviceId: string, slowed: () => void): Promise<void> {
    const entry = this.find(homeId, deviceId);
    const nowMs = this.nowMs();
    if (!entry || entry.failures === 0) return;
    const startMs = Math.max(nowMs, entry.openAtMs);
    if (startMs === nowMs) {
      entry.openAtMs = nowMs + delayMs(entry.failures);
      return;
    }
    if (entry.waiting >= mostWaiting || this.waitingInAll >= mostWaitingInAll) {
      throw new Mqtt2goError('too_many_attempts');
    }
    entry.openAtMs = startMs + delayMs(entry.failures);
    entry.waiting += 1;
    slowed();
    await this.sleep(startMs - nowMs);
    entry.waiting -= 1;
  }

  /** Counts a wrong code; resolves when that may be told. `slowed` is called first. */
  async failed(homeId: string, deviceId: string, slowed: () => void): Promise<void> {
    const nowMs = this.nowMs();
    const entry = this.find(homeId, deviceId) ?? { failures: 0, openAtMs: nowMs, lastFailureMs: nowMs, waiting: 0 };
    entry.failures += 1;
    entry.lastFailureMs = nowMs;
    entry.openAtMs = Math.max(entry.openAtMs, nowMs + delayMs(entry.failures));
    this.remember(homeId, deviceId, entry);
    slowed();
    if (this.waitingInAll < mostWaitingInAll) await this.sleep(delayMs(entry.failures));
  }

  /** The right code has been given: no reason to go slow any more. */
  succeeded(homeId: string, deviceId: string): void {
    this.attempts.delete(keyOf(homeId, deviceId));
  }

  /** Ends all waiting at once. */
  stop(): void {
    this.stopped = true;
    for (const [timer, wake] of this.sleepers) {
      clearTimeout(timer);
      wake();
    }
    this.sleepers.clear();
  }

  private find(homeId: string, deviceId: string): Attempts | undefined {
    const key = keyOf(homeId, deviceId);
    const entry = this.attempts.get(key);
    if (entry && entry.waiting === 0 && this.nowMs() - entry.lastFailureMs >= forgottenAfterMs) {
      this.attempts.delete(key);
      return undefined;
    }
    return entry;
  }

  private remember(homeId: string, deviceId: string, entry: Attempts): void {
    const key = keyOf(homeId, deviceId);
    this.attempts.delete(key);
    this.attempts.set(key, entry);
    const [oldest] = this.attempts.keys();
    if (oldest !== undefined && this.attempts.size > capacity) this.attempts.delete(oldest);
  }

  private async sleep(ms: number): Promise<void> {
    if (this.stopped) return;
    this.waitingInAll += 1;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.sleepers.delete(timer);
        resolve();
      }, ms);
      this.sleepers.set(timer, resolve);
    });
    this.waitingInAll -= 1;
  }
}

function delayMs(failures: number): number {
  return Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(failures - 1, 16));
}

/** No id has a slash in it. */
function keyOf(homeId: string, deviceId: string): string {
  return `${homeId}/${deviceId}`;
}
