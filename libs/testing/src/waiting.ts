import type { EventEmitter } from 'node:events';

const defaultTimeoutMs = 10_000;

/** Rejects when `promise` takes longer than any good run would; never used to let time pass. */
export async function within<T>(promise: Promise<T>, what: string, timeoutMs = defaultTimeoutMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** An event emitter of any typing. */
interface Emitter {
  on(event: never, listener: never): unknown;
  off(event: never, listener: never): unknown;
}

/** The arguments of the next `event` that `matches`. */
export function waitForEvent<A extends unknown[] = unknown[]>(
  typedEmitter: Emitter,
  event: string,
  matches: (...args: A) => boolean = () => true,
  timeoutMs = defaultTimeoutMs,
): Promise<A> {
  const emitter = typedEmitter as unknown as EventEmitter;
  let listener: ((...args: A) => void) | undefined;
  const happened = new Promise<A>((resolve) => {
    listener = (...args: A) => {
      if (matches(...args)) {
        resolve(args);
      }
    };
    emitter.on(event, listener as (...args: unknown[]) => void);
  });
  return within(happened, `event '${event}'`, timeoutMs).finally(() => {
    if (listener !== undefined) {
      emitter.off(event, listener as (...args: unknown[]) => void);
    }
  });
}

/** Asks `probe` again and again until it gives something other than undefined or false; for what tells no event. */
export async function waitFor<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  what = 'the condition',
  timeoutMs = defaultTimeoutMs,
): Promise<T> {
  const giveUpAt = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) {
      return value;
    }
    if (Date.now() > giveUpAt) {
      throw new Error(`${what} did not come true within ${timeoutMs} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Collects what comes, and gives the first `count` when they are there. */
export class Collector<T> {
  readonly items: T[] = [];
  private readonly waiters: (() => void)[] = [];

  add(item: T): void {
    this.items.push(item);
    for (const check of [...this.waiters]) {
      check();
    }
  }

  async first(count: number, timeoutMs = defaultTimeoutMs): Promise<T[]> {
    const enough = new Promise<void>((resolve) => {
      const check = (): void => {
        if (this.items.length >= count) {
          resolve();
        }
      };
      this.waiters.push(check);
      check();
    });
    await within(enough, `item ${count}`, timeoutMs);
    return this.items.slice(0, count);
  }
}

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | PromiseLike<T>) => void;
  readonly reject: (reason: unknown) => void;
}

/** A promise with its ends outside. */
export function deferred<T = void>(): Deferred<T> {
  let ends: Omit<Deferred<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    ends = { resolve, reject };
  });
  if (ends === undefined) {
    throw new Error('unreachable: a promise calls its executor at once');
  }
  return { promise, ...ends };
}
