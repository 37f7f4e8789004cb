import type { PrincipalKey } from '@mqtt2go/access';
import type { Client } from 'aedes';
import type { Identity } from '../connections/admission.js';
import { nameOf } from '../copy/access-copy.js';

/** The live sessions, by who holds them. */
export class SessionList {
  readonly #identities = new WeakMap<Client, Identity>();
  readonly #byName = new Map<string, Set<Client>>();
  readonly #closing = new Set<Promise<void>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(client: Client, identity: Identity): void {
    const name = nameOf(identity.key);
    const clients = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, clients.add(client));
    this.#identities.set(client, identity);
    this.#size += 1;
    client.conn.once('close', () => {
      this.#size -= 1;
      clients.delete(client);
      if (clients.size === 0 && this.#byName.get(name) === clients) this.#byName.delete(name);
    });
  }

  identityOf(client: Client): Identity | undefined {
    return this.#identities.get(client);
  }

  countOf(key: PrincipalKey): number {
    return this.#byName.get(nameOf(key))?.size ?? 0;
  }

  /** Begins to close the sessions of `key`: all, or those that `isToGo` picks. */
  close(key: PrincipalKey, isToGo: (identity: Identity) => boolean = () => true): void {
    for (const client of this.#byName.get(nameOf(key)) ?? []) {
      const identity = this.#identities.get(client);
      if (identity === undefined || !isToGo(identity)) continue;
      this.#identities.delete(client);
      const closed = new Promise<void>((resolve) => client.close(() => resolve()));
      this.#closing.add(closed);
      void closed.then(() => this.#closing.delete(closed));
    }
  }

  /** Resolves when what has begun to close is closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }
}
