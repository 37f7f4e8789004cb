/** How long the broker may be busy with one control message: half of what a message of others may wait for it. */
const targetMs = 5;
const fewest = 4;

/**
 * How many commands go into one message, so that the broker is not busy with it for longer than {@link targetMs}:
 * creating a client costs it more the more clients there are. Found by the time that answers take, less the time
 * that the quickest ones take, which is the way there and back.
 */
export class GroupSize {
  #size: number;
  #quickestMs = Number.POSITIVE_INFINITY;

  constructor(private readonly most: number) {
    this.#size = Math.min(most, 32);
  }

  get current(): number {
    return this.#size;
  }

  /** Tells how long the answer to a message of that many commands took. */
  learn(commands: number, ms: number): void {
    // Slowly upwards, for the way may have become longer.
    this.#quickestMs = Math.min(ms, this.#quickestMs * 1.01);
    const busyMs = ms - this.#quickestMs;
    if (busyMs > targetMs)
      this.#size = Math.max(fewest, Math.floor((Math.min(commands, this.#size) * targetMs) / busyMs));
    else if (commands >= this.#size) this.#size = Math.min(this.most, this.#size + 4);
  }
}
