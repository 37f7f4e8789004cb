import type { Principal, PrincipalKey } from '@mqtt2go/access';
import type { BrokerAdmin } from './broker-admin.js';
import { GatheredWrites } from './gathered-writes.js';

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

/** Keeps other processes, and this one's other calls, from writing the same principals to the broker meanwhile. */
export interface PrincipalLocks {
  /** @throws what `work` throws; Mqtt2goError `unavailable` when a lock cannot be had or was lost during the work */
  hold<T>(names: readonly string[], work: () => Promise<T>): Promise<T>;
}

export interface BrokerCopyOptions {
  /** Needed where other processes change the same principals. */
  readonly locks?: PrincipalLocks | undefined;
  /** Called after each change with how long it took from its commit until the broker acted by it; for a metric. */
  readonly onConfirmed?: ((durationMs: number) => void) | undefined;
}

/** Principals that are being brought from the database to the broker. */
interface Turn {
  readonly keys: readonly PrincipalKey[];
  /** Another turn had one of these principals at the same time: either may be the one that wrote the older state. */
  isContested: boolean;
}

/**
 * Keeps one broker's copy equal to the database, in whatever order changes are committed and rebuilds happen. For
 * that, each change is made in {@link change} or followed by {@link sync}.
 *
 * In a single process, what was written while the same principal changed otherwise is read back from the source, and
 * written again if it is no longer that. Where there are other processes, a principal is read and written under its
 * lock, with those that are changed at the same time: whoever writes it later has read it later. A rebuild writes without locks, and sees to it afterwards that
 * what it wrote is still so.
 */
export class BrokerCopy {
  readonly #admin: BrokerAdmin;
  readonly #source: PrincipalSource;
  readonly #locks: PrincipalLocks | undefined;
  readonly #lockedWrites: GatheredWrites | undefined;
  readonly #onConfirmed: (durationMs: number) => void;
  readonly #turns = new Map<string, Set<Turn>>();
  /** What was written while a rebuild was under way: its pages may be older than that. */
  readonly #duringRebuilds = new Set<Map<string, PrincipalKey>>();

  constructor(
    admin: BrokerAdmin,
    source: PrincipalSource,
    { locks, onConfirmed = () => undefined }: BrokerCopyOptions = {},
  ) {
    this.#admin = admin;
    this.#source = source;
    this.#locks = locks;
    this.#lockedWrites =
      locks && new GatheredWrites((keys) => locks.hold(keys.map(nameOf), () => this.#writeCommitted(keys)));
    this.#onConfirmed = onConfirmed;
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
    await this.#inTurn(keys, (turn) => this.#confirm(turn));
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
      if (principal !== 'unchanged') await this.#confirm(turn, principal);
      return answer;
    });
  }

  /** Makes the whole copy anew. Same errors as {@link sync}. */
  async rebuild(): Promise<void> {
    const touched = new Map<string, PrincipalKey>();
    this.#duringRebuilds.add(touched);
    try {
      if (this.#locks === undefined) await this.#admin.replaceAll(this.#source.all());
      else await this.#replaceAmongOthers(touched);
    } finally {
      this.#duringRebuilds.delete(touched);
    }
    await this.sync([...touched.values()]);
  }

  /**
   * Others may have written to the broker what is newer than the pages that it is being filled with. Such changes were
   * committed by now, so that reading everything once more finds them; later ones are written after all of this.
   */
  async #replaceAmongOthers(touched: Map<string, PrincipalKey>): Promise<void> {
    const written = new Map<string, { readonly key: PrincipalKey; readonly mark: number }>();
    const source = this.#source;
    await this.#admin.replaceAll(
      (async function* () {
        for await (const principal of source.all()) {
          const { kind, id } = principal;
          written.set(nameOf(principal), { key: { kind, id }, mark: markOf(principal) });
          yield principal;
        }
      })(),
    );
    for await (const principal of source.all()) {
      const name = nameOf(principal);
      const before = written.get(name);
      written.delete(name);
      const { kind, id } = principal;
      if (before?.mark !== markOf(principal)) touched.set(name, { kind, id });
    }
    for (const [name, { key }] of written) touched.set(name, key);
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

  async #confirm(turn: Turn, changed: Exclude<ChangedPrincipal, 'unchanged'> = 'unknown'): Promise<void> {
    const committedAtMs = performance.now();
    await this.#settle(turn, changed);
    this.#onConfirmed(performance.now() - committedAtMs);
  }

  /** Writes what is committed by now. A rebuild that begins after this reads it by itself. */
  async #settle(turn: Turn, changed: Exclude<ChangedPrincipal, 'unchanged'> = 'unknown'): Promise<void> {
    for (const touched of this.#duringRebuilds) for (const key of turn.keys) touched.set(nameOf(key), key);
    if (this.#lockedWrites !== undefined) {
      if (turn.keys.length > 0) await this.#lockedWrites.add(turn.keys);
      return;
    }
    let open = turn.keys;
    let wanted = changed === 'unknown' ? await this.#load(open) : named(changed === 'absent' ? [] : [changed]);
    while (open.length > 0) {
      await this.#write(open, wanted);
      if (!turn.isContested) return;
      const committed = await this.#load(open);
      open = open.filter((key) => !isSame(wanted.get(nameOf(key)), committed.get(nameOf(key))));
      wanted = committed;
    }
  }

  async #writeCommitted(keys: readonly PrincipalKey[]): Promise<void> {
    await this.#write(keys, await this.#load(keys));
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

/** Tells states of a principal apart without keeping them: FNV-1a, twice, 53 bits in all. */
function markOf(principal: Principal): number {
  const text = JSON.stringify(principal);
  let low = 0x811c9dc5;
  let high = 0x01000193;
  for (let at = 0; at < text.length; at += 1) {
    low = Math.imul(low ^ text.charCodeAt(at), 0x01000193);
    high = Math.imul(high ^ text.charCodeAt(text.length - 1 - at), 0x01000193);
  }
  return (low >>> 0) * 0x200000 + (high >>> 11);
}

function isSame(a: Principal | undefined, b: Principal | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
