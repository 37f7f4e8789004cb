import type { Logger } from 'pino';

const everyMs = 24 * 60 * 60 * 1_000;

/** Renews what the gateway shows of itself while it runs: once a day, and when it is another time than was thought. */
export class Renewal {
  #renew: (() => Promise<void>) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly log: Logger) {}

  /** @param renew renews what ends soon, and nothing else */
  start(renew: () => Promise<void>): void {
    this.#renew = renew;
    this.#timer = setInterval(() => this.now(), everyMs).unref();
  }

  /** Does nothing before it is started. */
  now(): void {
    this.#running = this.#running
      .then(() => this.#renew?.())
      .catch((error: unknown) =>
        this.log.error({ err: error }, 'certificates could not be renewed; trying again tomorrow'),
      );
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#renew = undefined;
    await this.#running;
  }
}
