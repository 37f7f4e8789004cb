import pg from 'pg';

/** How long somebody waits for a connection that others have before a further one is opened. */
const patienceMs = 100;

type Connected = Parameters<typeof pg.Pool.prototype.connect>[0];

/**
 * A pool that opens a further connection only for who has waited for a while: each is a process of some megabytes, and most
 * who find all taken have one a millisecond later. One that holds a connection while it waits for another gets it.
 */
export class PatientPool extends pg.Pool {
  readonly #most: number;

  constructor(config: pg.PoolConfig = {}) {
    super({ ...config, max: 1 });
    this.#most = config.max ?? 10;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.PoolClient> | void {
    // Those that have gone are not opened again without need.
    this.options.max = Math.max(1, this.totalCount);
    const areTaken = this.totalCount > 0 && this.idleCount === 0;
    const late = areTaken && this.totalCount < this.#most ? setTimeout(() => this.#grow(), patienceMs) : undefined;
    if (callback === undefined) return super.connect().finally(() => clearTimeout(late));
    super.connect((...result) => {
      clearTimeout(late);
      callback(...result);
    });
  }

  #grow(): void {
    if (this.ending || this.totalCount >= this.#most) return;
    this.options.max = this.totalCount + 1;
    // A request of our own opens it: pg-pool does so for new ones only. Its release serves who has waited longest.
    super.connect((error, _client, release) => {
      if (error === undefined) release();
    });
  }
}
