import type { Principal, PrincipalKey } from '@mqtt2go/access';
import type { BrokerAdmin } from './broker-admin.js';

/** The truth that a broker's copy is made from. */
export interface PrincipalSource {
  /** Those of `keys` that are to be on the broker now, read after the latest commit; always spelled the same way. */
  load(keys: readonly PrincipalKey[]): Promise<readonly Principal[]>;
  /** All that are to be on the broker, in pages, so that 100,000 of them never stand in memory at once. */
  all(): AsyncIterable<Principal>;
}

/**
 * What a change has made of a principal: `unknown` where only reading it anew can tell; `unchanged` where the broker has
 * been told all there is to know.
 */
export type ChangedPrincipal = Principal | 'absent' | 'unchanged' | 'unknown';

export interface BrokerCopyOptions {
  /** Other processes change the same principals: each is read back after it was written, for it may have changed. */
  readonly hasReplicas?: boolean;
}

/** Principals that are being brought from the database to the broker. */
interface Turn {
  readonly keys: readonly PrincipalKey[];
  /** Another turn had one of these principals at the same time: either may be the one that wrote the older state. */
  isContested: boolean;
}

/**
 * Keeps one broker's copy equal to the database, in whatever order changes are committed and rebuilds happen. For
 * that, each change is made in {@link change} or followed by {@link sync}. What was written while the same principal
 * changed otherwise, or may have, is read back from the source, and written again if it is no longer that.
 */
export class BrokerCopy {
  readonly #admin: BrokerAdmin;
  readonly #source: PrincipalSource;
  readonly #hasReplicas: boolean;
  readonly #turns = new Map<string, Set<Turn>>();
  /** What was written while a rebuild was under way: its pages may be older than that. */
  readonly #duringRebuilds = new Set<Map<string, PrincipalKey>>();

  constructor(admin: BrokerAdmin, source: PrincipalSource, { hasReplicas = false }: BrokerCopyOptions = {}) {
    this.#admin = admin;
    this.#source = source;
    this.#hasReplicas = hasReplicas;
  }

  /**
   * Rebuilds the copy whenever the broker is found without it.
   * @param afterwards gives the broker what else it has lost, such as its trust anchors
   * @returns the way to stop, which waits for a rebuild that runs
   */
  keep(afterwards: () => Promise<void> = async () => undefined): () => Promise<void> {
    const running = new Set<Promise<void>>();
    const stop = this.#admin.onCopyLost(async () => {
      const rebuild = this.rebuild().then(afterwards);
      running.add(rebuild);
      await rebuild.finally(() => running.delete(rebuild));
    });
    return async () => {
      stop();
      await Promise.allSettled(running);
    };
  }

  /**
   * Makes the broker act by what is committed for `keys`: puts those that are there, removes the others.
   * @throws Mqtt2goError `unavailable` when the broker does not confirm in time; safe to repeat
   */
  async sync(keys: readonly PrincipalKey[]): Promise<void> {
    await this.#inTurn(keys, (turn) => this.#settle(turn));
  }

  /**
   * Changes one principal in the database and makes the broker act by it. Where `work` knows what it has committed,
   * nothing is read for that.
   * @param work commits; rejects if there is nothing to tell the broker
   * @throws what `work` throws, and as {@link sync}
   */
  async change<T>(
    key: PrincipalKey,
    work: () => Promise<{ readonly answer: T; readonly principal: ChangedPrincipal }>,
  ): Promise<T> {
    return this.#inTurn([key], async (turn) => {
      const { answer, principal } = await work();
      if (principal !== 'unchanged') await this.#settle(turn, principal);
      return answer;
    });
  }

  /** Makes the whole copy anew. Same errors as {@link sync}. */
  async rebuild(): Promise<void> {
    const touched = new Map<string, PrincipalKey>();
    this.#duringRebuilds.add(touched);
    try {
      await this.#admin.replaceAll(this.#source.all());
    } finally {
      this.#duringRebuilds.delete(touched);
    }
    await this.sync([...touched.values()]);
  }

  async #inTurn<T>(keys: readonly PrincipalKey[], work: (turn: Turn) => Promise<T>): Promise<T> {
    const turn: Turn = { keys, isContested: false };
    const names = new Set(keys.map(nameOf));
    for (const name of names) {
      const turns = this.#turns.get(name) ?? new Set();
      this.#turns.set(name, turns.add(turn));
      if (turns.size > 1) for (const one of turns) one.isContested = true;
    }
    try {
      return await work(turn);
    } finally {
      for (const name of names) {
        const turns = this.#turns.get(name);
        turns?.delete(turn);
        if (turns?.size === 0) this.#turns.delete(name);
      }
    }
  }

  /** Writes what is committed by now. A rebuild that begins after this reads it by itself. */
  async #settle(turn: Turn, changed: Exclude<ChangedPrincipal, 'unchanged'> = 'unknown'): Promise<void> {
    for (const touched of this.#duringRebuilds) for (const key of turn.keys) touched.set(nameOf(key), key);
    let open = turn.keys;
    let wanted = changed === 'unknown' ? await this.#load(open) : named(changed === 'absent' ? [] : [changed]);
    while (open.length > 0) {
      await this.#write(open, wanted);
      if (!this.#hasReplicas && !turn.isContested) return;
      const committed = await this.#load(open);
      open = open.filter((key) => !isSame(wanted.get(nameOf(key)), committed.get(nameOf(key))));
      wanted = committed;
    }
  }

  async #load(keys: readonly PrincipalKey[]): Promise<Map<string, Principal>> {
    if (keys.length === 0) return new Map();
    return named(await this.#source.load(keys));
  }

  async #write(keys: readonly PrincipalKey[], wanted: ReadonlyMap<string, Principal>): Promise<void> {
    const present = keys.flatMap((key) => wanted.get(nameOf(key)) ?? []);
    const absent = keys.filter((key) => !wanted.has(nameOf(key)));
    if (present.length > 0) await this.#admin.put(present);
    if (absent.length > 0) await this.#admin.remove(absent);
  }
}

function named(principals: readonly Principal[]): Map<string, Principal> {
  return new Map(principals.map((principal) => [nameOf(principal), principal]));
}

function nameOf(key: PrincipalKey): string {
  return `${key.kind}/${key.id}`;
}

function isSame(a: Principal | undefined, b: Principal | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
