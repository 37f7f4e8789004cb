import { pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { PasswordHash } from '@mqtt2go/access';
import { Mqtt2goError } from '@mqtt2go/protocol';

const derive = promisify(pbkdf2);
/** Node's thread pool has four threads, and names and disks want some too. */
const maxAtOnce = 2;
const maxWaiting = 500;
const maxPasswordBytes = 256;
/** An unknown user takes as long as a known one. */
const nobody: PasswordHash = {
  algorithm: 'pbkdf2-sha512',
  iterations: 1_000,
  salt: 'AAAAAAAAAAAAAAAAAAAAAA==',
  hash: Buffer.alloc(64).toString('base64'),
};

/** Checks passwords off the event loop, a few at once. */
export class PasswordCheck {
  #running = 0;
  #iterations = nobody.iterations;
  readonly #waiting: (() => void)[] = [];

  /**
   * @param expected undefined for an unknown user: false, after the usual time
   * @throws Mqtt2goError `unavailable` when too many are waiting
   */
  async isRight(password: Uint8Array, expected: PasswordHash | undefined): Promise<boolean> {
    if (password.length > maxPasswordBytes) return false;
    this.#iterations = expected?.iterations ?? this.#iterations;
    const { salt, hash, iterations } = expected ?? { ...nobody, iterations: this.#iterations };
    await this.#enter();
    try {
      const wanted = Buffer.from(hash, 'base64');
      const found = await derive(password, Buffer.from(salt, 'base64'), iterations, wanted.length, 'sha512');
      return timingSafeEqual(found, wanted) && expected !== undefined;
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running >= maxAtOnce) {
      if (this.#waiting.length >= maxWaiting) throw new Mqtt2goError('unavailable', 'Too many sign-ins at once.');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running += 1;
  }
}
