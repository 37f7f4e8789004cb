import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Client } from 'aedes';

interface Holder {
  readonly client: Client;
  /** Resolves when whoever had the id before is gone. */
  readonly begun: Promise<void>;
}

/**
 * One client at a time has an id [MQTT-3.1.4-2]. aedes lets a new one begin while the former is still being closed, which
 * then takes the new one out of the list of clients (so that the next finds nobody to close, and both live on) and, if its own
 * session was clean, forgets what the new one has subscribed to.
 */
export class Takeovers {
  readonly #holders = new Map<string, Holder>();

  /** Gives the client its id, which it has to have by now; resolves when nothing is left of the one that had it. */
  begin(client: Client): Promise<void> {
    const { id, conn } = client;
    const holder = { client, begun: ended(this.#holders.get(id)) };
    this.#holders.set(id, holder);
    conn.once('close', () => {
      // aedes hears of it now, too, and may need the next turn.
      void nextTurn()
        .then(() => nextTurn())
        .then(() => {
          if (this.#holders.get(id) === holder) this.#holders.delete(id);
        });
    });
    return holder.begun;
  }
}

async function ended(holder: Holder | undefined): Promise<void> {
  if (holder === undefined) return;
  await new Promise<void>((resolve) => holder.client.close(() => resolve()));
  // aedes answers at once for one that is being closed already. What it has left to do then it does in its next turn.
  await nextTurn();
  await holder.begun;
}
