import type { PasswordHash, Principal, PrincipalKey } from '@mqtt2go/access';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { normalSerial } from '../connections/arrival.js';

/** A principal in the copy. Sessions hold on to it: a change is seen by them at once. */
export interface CopyEntry {
  readonly name: string;
  /** Undefined once it has been removed. */
  principal: Principal | undefined;
  /** The replacement that has brought or confirmed it. */
  seenBy: string | undefined;
}

export interface CopyEvents {
  /** `before` is undefined for a new one; `after` for a removed one. Never called for what is as it was. */
  changed(before: Principal | undefined, after: Principal | undefined, entry: CopyEntry): void;
}

interface Replacement {
  readonly id: string;
  /** Put or removed meanwhile, by commands that are newer than what the replacement brings. */
  readonly touched: Set<string>;
}

/** How many entries are looked at before the event loop gets its turn. */
const sliceSize = 2_000;

/** The broker's copy of who may come in: lookups in constant time, replaced as a whole without a pause. */
export class AccessCopy {
  /** False until the whole copy has been given once: what is missing may just not have come yet. */
  isComplete = false;
  readonly #entries = new Map<string, CopyEntry>();
  readonly #events: CopyEvents;
  #replacement: Replacement | undefined;

  constructor(events: CopyEvents) {
    this.#events = events;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(kind: PrincipalKey['kind'], id: string): CopyEntry | undefined {
    return this.#entries.get(nameOf({ kind, id }));
  }

  put(principals: readonly Principal[]): void {
    for (const principal of principals) {
      this.#replacement?.touched.add(nameOf(principal));
      this.#set(principal);
    }
  }

  remove(keys: readonly PrincipalKey[]): void {
    for (const key of keys) {
      this.#replacement?.touched.add(nameOf(key));
      this.#delete(nameOf(key));
    }
  }

  /** Begins to replace the whole copy. One that was begun before is given up. */
  beginReplacement(id: string): void {
    this.#replacement = { id, touched: new Set() };
  }

  /** @throws Mqtt2goError `conflict` when this is not the replacement under way */
  addToReplacement(id: string, principals: readonly Principal[]): void {
    const { touched } = this.#current(id);
    for (const principal of principals) {
      if (!touched.has(nameOf(principal))) this.#set(principal).seenBy = id;
    }
  }

  /** Removes what the replacement has not brought. @throws Mqtt2goError `conflict` as above */
  async commitReplacement(id: string): Promise<void> {
    const replacement = this.#current(id);
    let looked = 0;
    for (const [name, entry] of this.#entries) {
      if (entry.seenBy !== id && !replacement.touched.has(name)) this.#delete(name);
      looked += 1;
      if (looked % sliceSize === 0) {
        await new Promise((resolve) => setImmediate(resolve));
        this.#current(id);
      }
    }
    this.#replacement = undefined;
    this.isComplete = true;
  }

  #current(id: string): Replacement {
    if (this.#replacement?.id !== id) {
      throw new Mqtt2goError('conflict', 'Another replacement of the access copy has begun; begin again.');
    }
    return this.#replacement;
  }

  #set(principal: Principal): CopyEntry {
    const name = nameOf(principal);
    const entry = this.#entries.get(name) ?? { name, principal: undefined, seenBy: undefined };
    const before = entry.principal;
    if (before !== undefined && isSame(before, principal)) return entry;
    entry.principal = principal;
    this.#entries.set(name, entry);
    this.#events.changed(before, principal, entry);
    return entry;
  }

  #delete(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    const before = entry.principal;
    this.#entries.delete(name);
    entry.principal = undefined;
    this.#events.changed(before, undefined, entry);
  }
}

export function nameOf({ kind, id }: PrincipalKey): string {
  return `${kind}/${id}`;
}

/** Both come out of the same schema, so their keys stand in the same order. */
function isSame(a: Principal, b: Principal): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** True if the device may come with this certificate. */
export function acceptsSerial(principal: Principal, serialNumber: string | undefined): boolean {
  return (
    principal.kind === 'device' &&
    serialNumber !== undefined &&
    principal.certificateSerials.some((accepted) => normalSerial(accepted) === serialNumber)
  );
}

export function isSamePassword(a: PasswordHash, b: PasswordHash): boolean {
  return a.hash === b.hash && a.salt === b.salt && a.iterations === b.iterations && a.algorithm === b.algorithm;
}
