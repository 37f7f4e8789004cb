/** A right to send that fills up with time. Times come from a monotonic clock, in milliseconds. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #perMs: number;
  #tokens: number;
  #atMs: number;

  constructor(capacity: number, perSecond: number, nowMs: number) {
    this.#capacity = capacity;
    this.#perMs = perSecond / 1000;
    this.#tokens = capacity;
    this.#atMs = nowMs;
  }

  /** Milliseconds until something may be taken again; 0 for now. */
  waitMs(nowMs: number): number {
    this.#tokens = Math.min(this.#capacity, this.#tokens + (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    return this.#tokens > 0 ? 0 : Math.ceil(-this.#tokens / this.#perMs) + 1;
  }

  /** Takes what was sent, which may be more than there is: the next one waits. */
  take(cost: number): void {
    this.#tokens -= cost;
  }
}
