import type { PrincipalKey } from '@mqtt2go/access';
import { type EndedSessions, nameOf } from '../copy/principal-copy.js';
import type { Log } from '../log.js';
import type { BrokerSessions } from './broker-sessions.js';

export interface SessionEnderOptions {
  readonly sessions: BrokerSessions;
  readonly log: Log;
  /** Between tries while the broker's management side cannot be reached. */
  readonly retryMs?: number;
  /** After how long sessions are ended once more: a sign-in that was answered just before the change is open by then. */
  readonly sweepMs?: number;
}

/** Sees to it that sessions which have to end do end, however often the broker has to be told. */
export class SessionEnder {
  readonly #options: Required<SessionEnderOptions>;
  /** By principal, until the broker has confirmed. */
  readonly #due = new Map<string, EndedSessions>();
  readonly #sweeps = new Set<NodeJS.Timeout>();
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor({ retryMs = 2_000, sweepMs = 1_000, ...options }: SessionEnderOptions) {
    this.#options = { ...options, retryMs, sweepMs };
  }

  /**
   * Resolves when the broker has ended these, and whatever else is still due of the same principals.
   * @throws Mqtt2goError `unavailable`; it goes on trying by itself
   */
  async end(ended: readonly EndedSessions[], keys: readonly PrincipalKey[]): Promise<void> {
    for (const sessions of ended) this.#add(sessions);
    const wanted = new Set([...ended.map(({ key }) => key), ...keys].map(nameOf));
    await Promise.all([...wanted].filter((name) => this.#due.has(name)).map((name) => this.#settle(name)));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    for (const sweep of this.#sweeps) clearTimeout(sweep);
  }

  #add(sessions: EndedSessions): void {
    const before = this.#due.get(nameOf(sessions.key));
    const names = [...new Set([...(before?.names ?? []), ...sessions.names])];
    this.#due.set(nameOf(sessions.key), { ...sessions, names, forgets: sessions.forgets || before?.forgets === true });
  }

  async #settle(name: string): Promise<void> {
    const due = this.#due.get(name);
    if (due === undefined) return;
    try {
      await this.#options.sessions.end(due);
    } catch (error) {
      this.#tryLater();
      throw error;
    }
    // What was added meanwhile is another object.
    if (this.#due.get(name) === due) this.#due.delete(name);
    this.#sweepLater(due);
  }

  #sweepLater(due: EndedSessions): void {
    if (this.#isClosed) return;
    const sweep = setTimeout(() => {
      this.#sweeps.delete(sweep);
      this.#options.sessions.end({ ...due, forgets: false }).catch((error: unknown) => {
        this.#options.log.warn({ err: error, principal: nameOf(due.key) }, 'sessions may not have ended');
      });
    }, this.#options.sweepMs);
    sweep.unref();
    this.#sweeps.add(sweep);
  }

  #tryLater(): void {
    if (this.#isClosed || this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      void Promise.allSettled([...this.#due.keys()].map((name) => this.#settle(name)));
    }, this.#options.retryMs);
    this.#retry.unref();
  }
}
