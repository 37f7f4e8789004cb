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
 * Keeps one broker's copy equal to the database, in whatever order changes are committed and rebuilds
 * happen: what is written is read back from the source, and written again if it changed meanwhile.
 */
export class BrokerCopy {
  readonly #admin: BrokerAdmin;
  readonly #source: PrincipalSource;
  /** What was synced while a rebuild was under way: its pages may be older than that. */
  readonly #duringRebuilds = new Set<Map<string, PrincipalKey>>();

  constructor(admin: BrokerAdmin, source: PrincipalSource) {
    this.#admin = admin;
    this.#source = source;
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
    for (const touched of this.#duringRebuilds) for (const key of keys) touched.set(nameOf(key), key);
    let open = keys;
    let wanted = await this.#load(open);
    while (open.length > 0) {
      await this.#write(open, wanted);
      const committed = await this.#load(open);
      open = open.filter((key) => !isSame(wanted.get(nameOf(key)), committed.get(nameOf(key))));
      wanted = committed;
    }
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

  async #load(keys: readonly PrincipalKey[]): Promise<Map<string, Principal>> {
    if (keys.length === 0) return new Map();
    return new Map((await this.#source.load(keys)).map((principal) => [nameOf(principal), principal]));
  }

  async #write(keys: readonly PrincipalKey[], wanted: ReadonlyMap<string, Principal>): Promise<void> {
    const present = keys.flatMap((key) => wanted.get(nameOf(key)) ?? []);
    const absent = keys.filter((key) => !wanted.has(nameOf(key)));
    if (present.length > 0) await this.#admin.put(present);
    if (absent.length > 0) await this.#admin.remove(absent);
  }
}

function nameOf(key: PrincipalKey): string {
  return `${key.kind}/${key.id}`;
}

function isSame(a: Principal | undefined, b: Principal | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
