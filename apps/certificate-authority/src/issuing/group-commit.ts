interface Group<T, R> {
  readonly items: T[];
  readonly stored: Promise<readonly R[]>;
  readonly start: () => void;
  /** Ends the patience with the group before it. */
  readonly timer: NodeJS.Timeout;
}

export interface GroupCommitOptions<T, R> {
  /** Stores all or nothing, and commits; the results in the order of the items. */
  readonly store: (items: readonly T[]) => Promise<readonly R[]>;
  /** Whether an error is that of one of the items, so that the others are to be stored without it. */
  readonly isOfOneItem: (error: unknown) => boolean;
  /** In one statement at most. */
  readonly largest?: number;
}

/** A commit that takes longer waits for something: what comes after it is then not kept waiting too. */
const patienceMs = 100;

/**
 * Stores together what comes while a commit is under way: one statement, one round trip and one flush to the disk for all
 * of it. Nobody waits where nothing is being stored.
 */
export class GroupCommit<T, R> {
  private readonly largest: number;
  private running = 0;
  private next: Group<T, R> | undefined;

  constructor(private readonly options: GroupCommitOptions<T, R>) {
    this.largest = options.largest ?? 64;
  }

  /** Ends after the commit. @throws what `store` throws for this item */
  async add(item: T): Promise<R> {
    if (this.running === 0) return only(await this.run([item]));
    const group = (this.next ??= this.gather());
    const index = group.items.push(item) - 1;
    if (group.items.length >= this.largest) this.startNext();
    let stored: readonly R[];
    try {
      stored = await group.stored;
    } catch (error) {
      if (group.items.length === 1 || !this.options.isOfOneItem(error)) throw error;
      return only(await this.options.store([item]));
    }
    return only(stored.slice(index, index + 1));
  }

  private gather(): Group<T, R> {
    const items: T[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const stored = promise.then(() => this.run(items));
    return { items, stored, start: resolve, timer: setTimeout(() => this.startNext(), patienceMs) };
  }

  private startNext(): void {
    const group = this.next;
    if (group === undefined) return;
    this.next = undefined;
    clearTimeout(group.timer);
    group.start();
  }

  private async run(items: readonly T[]): Promise<readonly R[]> {
    this.running += 1;
    try {
      return await this.options.store(items);
    } finally {
      this.running -= 1;
      this.startNext();
    }
  }
}

function only<R>([result]: readonly R[]): R {
  if (result === undefined) throw new Error('what was stored has no result');
  return result;
}
