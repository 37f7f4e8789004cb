import { Mqtt2goError } from '@mqtt2go/protocol';

const lastStep = 13;

/** Which of the 13 steps have happened, and whether in their order. */
export class Story {
  readonly #happened: number[] = [];

  /** @param without steps that this platform does without */
  constructor(private readonly without: readonly number[] = []) {}

  /** @returns true the first time: a step may be repeated, and is told once */
  happened(step: number): boolean {
    if (this.#happened.includes(step)) return false;
    this.#happened.push(step);
    return true;
  }

  /** How many of them there are. */
  get count(): number {
    return lastStep - this.without.length;
  }

  /** @throws Mqtt2goError `conflict` naming the steps that are missing or out of order */
  requireAll(): void {
    const missing = Array.from({ length: lastStep }, (_unused, at) => at + 1).filter(
      (step) => !this.#happened.includes(step) && !this.without.includes(step),
    );
    if (missing.length > 0) throw new Mqtt2goError('conflict', `These steps did not happen: ${missing.join(', ')}.`);
    const early = this.#happened.find((step, at) => this.#happened.slice(0, at).some((before) => before > step));
    if (early !== undefined) {
      throw new Mqtt2goError('conflict', `The steps happened in another order: ${this.#happened.join(', ')}.`);
    }
  }
}
