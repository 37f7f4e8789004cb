/** How the last answers went. */
export interface AnswerStats {
  readonly answered: number;
  readonly denied: number;
  /** Asked by somebody who is no broker. */
  readonly strangers: number;
  /** Not understood, or of impossible size. */
  readonly malformed: number;
  /** From the request's head to the answer, over the last answers, in milliseconds; held-back refusals included. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const remembered = 2_048;

/** Counts answers and how long they took, for metrics and health. */
export class AnswerTimes {
  readonly #durations: number[] = [];
  #answered = 0;
  denied = 0;
  strangers = 0;
  malformed = 0;

  add(durationMs: number): void {
    this.#durations[this.#answered % remembered] = durationMs;
    this.#answered += 1;
  }

  stats(): AnswerStats {
    const sorted = [...this.#durations].sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    const { denied, strangers, malformed } = this;
    return { answered: this.#answered, denied, strangers, malformed, p50Ms: at(0.5), p99Ms: at(0.99) };
  }
}
