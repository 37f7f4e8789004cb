import type { PrincipalKey } from '@mqtt2go/access';

interface Batch {
  readonly keys: Map<string, PrincipalKey>;
  readonly written: Promise<void>;
  readonly start: () => void;
  /** Ends the patience with the batches before it. */
  readonly timer: ReturnType<typeof setTimeout>;
}

/** A write that takes longer waits for something: what comes after it is then not kept waiting too. */
const patienceMs = 100;

/**
 * Gathers the principals that come while others are being written, and writes them together: one lock, one reading and
 * one message for all of them. Nobody waits where nothing is being written.
 */
export class GatheredWrites {
  readonly #write: (keys: readonly PrincipalKey[]) => Promise<void>;
  #running = 0;
  #next: Batch | undefined;

  /** @param write reads what is committed when it is called, or later, and writes that */
  constructor(write: (keys: readonly PrincipalKey[]) => Promise<void>) {
    this.#write = write;
  }

  /** Ends when what was committed before the call is written; rejects for all who were gathered, or for none. */
  async add(keys: readonly PrincipalKey[]): Promise<void> {
    if (this.#running === 0) {
      await this.#run(keys);
      return;
    }
    const batch = (this.#next ??= this.#gather());
    for (const key of keys) batch.keys.set(`${key.kind}/${key.id}`, key);
    await batch.written;
  }

  #gather(): Batch {
    const keys = new Map<string, PrincipalKey>();
    let start = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    const written = started.then(() => this.#run([...keys.values()]));
    return { keys, written, start, timer: setTimeout(() => this.#runNext(), patienceMs) };
  }

  #runNext(): void {
    const batch = this.#next;
    if (batch === undefined) return;
    this.#next = undefined;
    clearTimeout(batch.timer);
    batch.start();
  }

  async #run(keys: readonly PrincipalKey[]): Promise<void> {
    this.#running += 1;
    try {
      await this.#write(keys);
    } finally {
      this.#running -= 1;
      this.#runNext();
    }
  }
}
