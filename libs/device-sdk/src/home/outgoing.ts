import type { SecureSession } from '../connection/secure-session.js';

interface Waiting {
  readonly topic: string;
  readonly message: string;
  readonly acknowledged: () => void;
}

/** More than a device has under way; of one whose broker takes nothing, the oldest are lost. */
const mostWaiting = 200;

/**
 * What the device has to say, in order. A message counts as said when a broker has taken it over (QoS 1); one that was on
 * its way when the connection broke is said again on the next, at whichever broker that is.
 */
export class Outgoing {
  readonly #waiting: Waiting[] = [];
  #session: SecureSession | undefined;
  #pumping = false;

  /** Resolves when a broker has taken it over: never, if there is none any more. */
  send(topic: string, message: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ topic, message, acknowledged: resolve });
      if (this.#waiting.length > mostWaiting) this.#waiting.shift();
      void this.#pump();
    });
  }

  /** From now on everything goes here. What another connection has not been acknowledged yet follows if that one breaks. */
  goBy(session: SecureSession): void {
    this.#session = session;
    void this.#pump();
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    for (;;) {
      const [first] = this.#waiting;
      const session = this.#session;
      if (first === undefined || session === undefined) break;
      try {
        await session.publish(first.topic, first.message);
        if (this.#waiting[0] === first) this.#waiting.shift();
        first.acknowledged();
      } catch {
        // It may have been replaced meanwhile; else the one after it asks again.
        if (this.#session === session) this.#session = undefined;
      }
    }
    this.#pumping = false;
  }
}
