import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';

/** Of one address. */
const failuresPerMinute = 10;
/** Of all: addresses cost an attacker nothing. */
const failuresOfAllPerMinute = 300;
const windowMs = 60_000;
const capacity = 10_000;

interface Window {
  readonly sinceMs: number;
  failures: number;
}

/** Holds back who tries invitations: the token cannot be guessed, but each try costs a look into the database. */
@Injectable()
export class EnrolAttempts {
  private readonly windows = new Map<string, Window>();

  constructor(private readonly clock: Clock) {}

  /** @throws Mqtt2goError `too_many_attempts`; what `work` throws */
  async run<T>(address: string, work: () => Promise<T> | T): Promise<T> {
    const own = this.windowOf(address);
    const all = this.windowOf('');
    if (own.failures >= failuresPerMinute || all.failures >= failuresOfAllPerMinute) {
      throw new Mqtt2goError('too_many_attempts', 'Too many invitations that are none; try again in a minute.');
    }
    try {
      return await work();
    } catch (error) {
      if (error instanceof Mqtt2goError && error.code !== 'unavailable' && error.code !== 'timeout') {
        own.failures += 1;
        all.failures += 1;
      }
      throw error;
    }
  }

  private windowOf(address: string): Window {
    const nowMs = this.clock.now();
    const known = this.windows.get(address);
    if (known !== undefined && nowMs - known.sinceMs < windowMs && nowMs >= known.sinceMs) return known;
    if (this.windows.size >= capacity) this.windows.clear();
    const fresh = { sinceMs: nowMs, failures: 0 };
    this.windows.set(address, fresh);
    return fresh;
  }
}
