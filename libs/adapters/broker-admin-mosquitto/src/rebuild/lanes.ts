/** Runs what concerns the same name one after the other, and everything else at once. */
export class Lanes {
  readonly #lastOf = new Map<string, Promise<unknown>>();

  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#lastOf.get(name);
    const done = before === undefined ? work() : before.then(work, work);
    this.#lastOf.set(name, done);
    const leave = (): void => {
      if (this.#lastOf.get(name) === done) this.#lastOf.delete(name);
    };
    void done.then(leave, leave);
    return done;
  }
}
