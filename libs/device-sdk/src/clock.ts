/**
 * The time, as far as a device can know it. Many have no clock that goes on without power: theirs starts in 1970. What
 * the platform says in its messages is better than that, and a certificate of the device's own was not issued in the
 * future.
 */
export class DeviceClock {
  readonly #own: () => number;
  #heard: { readonly unixMs: number; readonly atMs: number } | undefined;

  /** @param own Unix time in milliseconds by the device's own clock, right or wrong */
  constructor(own: () => number) {
    this.#own = own;
  }

  /** Of the device's own clock, for the timestamps of its messages. */
  readonly own = (): number => this.#own();

  /**
   * Takes note of the time in a message of the platform.
   * @param notBeforeMs the time cannot be before it; a message that says so is passed over
   */
  heard(unixMs: number, notBeforeMs: number): void {
    if (unixMs >= notBeforeMs) this.#heard = { unixMs, atMs: performance.now() };
  }

  /**
   * Unix time in milliseconds: the platform's if it has been heard, else the device's own if it can be right.
   * @param notBeforeMs the time cannot be before it: the `notBefore` of the device's own certificate
   */
  now(notBeforeMs: number): number | undefined {
    if (this.#heard !== undefined) return this.#heard.unixMs + performance.now() - this.#heard.atMs;
    const own = this.#own();
    return own >= notBeforeMs ? own : undefined;
  }
}
