/** A text that is for one pair of eyes: whatever prints or serialises it by accident, a log above all, gets no letter of it. */
export class SecretText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself; not to be kept, and not to be logged. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '[hidden]';
  }

  toJSON(): string {
    return '[hidden]';
  }

  /** What Node.js calls to print an object. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[hidden]';
  }
}
