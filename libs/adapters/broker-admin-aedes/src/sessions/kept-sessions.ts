import type { PrincipalKey } from '@mqtt2go/access';
import { nameOf } from '../copy/access-copy.js';
import type { SessionStore } from './session-store.js';

/** Of one owner's sessions, how many outlive their connection. */
const maxPerOwner = 8;

/** Whose the sessions are that outlive their connection. */
export class KeptSessions {
  readonly #byOwner = new Map<string, Set<string>>();
  readonly #store: SessionStore;

  constructor(store: SessionStore) {
    this.#store = store;
  }

  /** The owner's oldest ones beyond the limit are forgotten. Services' are not counted. */
  note(clientId: string, key: PrincipalKey): void {
    if (key.kind === 'service') return;
    const owner = nameOf(key);
    const kept = this.#byOwner.get(owner) ?? new Set();
    kept.delete(clientId);
    this.#byOwner.set(owner, kept.add(clientId));
    for (const oldest of kept) {
      if (kept.size <= maxPerOwner) break;
      kept.delete(oldest);
      this.#store.forget(oldest);
    }
  }

  /** All of one owner's, with what waits in them. */
  forget(key: PrincipalKey): void {
    const owner = nameOf(key);
    for (const clientId of this.#byOwner.get(owner) ?? []) this.#store.forget(clientId);
    this.#byOwner.delete(owner);
  }

  /** Those without a connection in which nothing waits. */
  forgetIdle(key: PrincipalKey): void {
    for (const clientId of this.#byOwner.get(nameOf(key)) ?? []) this.#store.forgetIdle(clientId);
  }
}
