/** How long the broker may be busy with one control message: half of what a message of others may wait for it. */
const targetMs = 5;
const fewest = 8;
/** How fast it is forgotten how quick the way was. */
const forgetting = 1.05;

/**
 * How many commands go into one message, so that the broker is not busy with it for longer than {@link targetMs}:
 * creating a client costs it more the more clients there are. Found by the time that answers take, less the time
 * that the quickest of late have taken, which is the way there and back.
 */
export class GroupSize {
  #size: number;
  #quickestMs = Number.POSITIVE_INFINITY;

  constructor(private readonly most: number) {
    this.#size = Math.min(most, 32);
  }

  get current(): number {
    return Math.floor(this.#size);
  }

  /** Tells how long the answer to a message of that many commands took. */
  learn(commands: number, ms: number): void {
    this.#quickestMs = Math.min(ms, this.#quickestMs * forgetting);
    if (ms - this.#quickestMs > targetMs) {
      // A message that was small does not say that larger ones take too long.
      if (commands * 2 >= this.#size) this.#size = Math.max(fewest, this.#size / 2);
    } else if (commands * 2 >= this.#size) this.#size = Math.min(this.most, this.#size * 1.25);
  }
}
