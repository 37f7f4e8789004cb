import type { BeforeApplicationShutdown } from '@nestjs/common';
import { type Logger, pino } from 'pino';
import type {
  DataSource,
  EntityManager,
  EntitySubscriberInterface,
  QueryRunner,
  TransactionCommitEvent,
  TransactionRollbackEvent,
} from 'typeorm';

/** Carries out an effect; may run more than once. Rejects to have it tried again later. */
export type OutboxHandler = (payload: unknown) => Promise<void>;

export interface OutboxOptions {
  /** How many effects one transaction takes; 16 by default. */
  readonly batchSize?: number;
  /** How many transactions at most work at a time, each on a connection of the pool; 2 by default. */
  readonly workers?: number;
  /** How often to look without being poked: for what other processes left behind; 2,000 by default. */
  readonly pollMs?: number;
  /** The first pause after a failure, doubled with each further one; 250 by default. */
  readonly firstRetryMs?: number;
  /** 30,000 by default. */
  readonly longestRetryMs?: number;
  /** From 0 to 1; spreads retries. */
  readonly random?: () => number;
  readonly log?: Logger | undefined;
}

export interface OutboxBacklog {
  readonly messages: number;
  /** Of them, tried at least once. */
  readonly failing: number;
  /** 0 when there are none. */
  readonly oldestSeconds: number;
}

interface Claimed {
  readonly id: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly attempts: number;
}

/**
 * Effects that are stored in the transaction of what causes them and carried out after its commit, at least once,
 * oldest first; one that fails comes again later and holds up no other. Several processes share one outbox: a
 * row is locked while its handler runs, and a killed process's locks end with its connection.
 */
export class Outbox implements BeforeApplicationShutdown {
  private readonly handlers = new Map<string, OutboxHandler>();
  private readonly running = new Set<Promise<void>>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly settings: Required<Omit<OutboxOptions, 'log'>>;
  private readonly log: Logger;
  private readonly pokeAfterCommit = new WeakSet<QueryRunner>();
  private poll: NodeJS.Timeout | undefined;
  private started = false;
  private pokedWhileBusy = false;

  constructor(
    private readonly dataSource: DataSource,
    { log, ...options }: OutboxOptions = {},
  ) {
    this.settings = {
      batchSize: 16,
      workers: 2,
      pollMs: 2_000,
      firstRetryMs: 250,
      longestRetryMs: 30_000,
      random: Math.random,
      ...options,
    };
    this.log = log ?? pino({ name: 'outbox' });
    dataSource.subscribers.push(this.commitListener());
  }

  /** How much is owed: all effects, those that have failed, and since when the oldest one is. */
  async backlog(): Promise<OutboxBacklog> {
    const [row] = await this.dataSource.query<{ messages: string; failing: string; seconds: string | null }[]>(
      `/* background */ SELECT count(*) AS messages, count(*) FILTER (WHERE attempts > 0) AS failing,
         extract(epoch FROM clock_timestamp() - min(created_at)) AS seconds FROM outbox`,
    );
    const oldestSeconds = Math.max(0, Number(row?.seconds ?? 0));
    return { messages: Number(row?.messages ?? 0), failing: Number(row?.failing ?? 0), oldestSeconds };
  }

  /** Adds an effect in `manager`'s transaction; it is carried out when that has committed. `payload` becomes JSON. */
  async add(manager: EntityManager, kind: string, payload: object): Promise<void> {
    await manager.query(`INSERT INTO outbox (kind, payload) VALUES ($1, $2)`, [kind, JSON.stringify(payload)]);
    if (manager.queryRunner?.isTransactionActive) {
      this.pokeAfterCommit.add(manager.queryRunner);
    } else {
      this.poke();
    }
  }

  /** Names the handler of a kind; kinds without one stay stored. */
  on(kind: string, handler: OutboxHandler): void {
    if (this.handlers.has(kind)) {
      throw new Error(`the outbox has a handler for '${kind}' already`);
    }
    this.handlers.set(kind, handler);
  }

  /** Begins to carry out what is stored. */
  start(): void {
    if (!this.started) {
      this.started = true;
      this.poll = setInterval(() => this.poke(), this.settings.pollMs);
      this.poke();
    }
  }

  /** Takes nothing more; resolves when the handlers that run have ended. */
  async stop(): Promise<void> {
    this.started = false;
    clearInterval(this.poll);
    for (const timer of this.timers) {
      clearTimeout(timer);
    }
    this.timers.clear();
    await Promise.all(this.running);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  /** Looks for due effects now; `add` does it by itself after the commit. */
  poke(): void {
    if (!this.started || this.handlers.size === 0) {
      return;
    }
    if (this.running.size >= this.settings.workers) {
      this.pokedWhileBusy = true;
      return;
    }
    const work: Promise<void> = this.work().finally(() => this.running.delete(work));
    this.running.add(work);
  }

  /** Takes batches until nothing is due. */
  private async work(): Promise<void> {
    do {
      this.pokedWhileBusy = false;
      try {
        while (this.started && (await this.takeBatch()) === this.settings.batchSize) {
          // A full batch: more may be due.
        }
      } catch (error) {
        this.log.error({ err: error }, 'the outbox cannot be read; trying again');
        this.pokeIn(this.settings.firstRetryMs);
        return;
      }
    } while (this.started && this.pokedWhileBusy);
  }

  private async takeBatch(): Promise<number> {
    return this.dataSource.transaction(async (manager) => {
      const claimed: Claimed[] = await manager.query(
        `SELECT id, kind, payload, attempts FROM outbox
         WHERE (not_before <= now() OR not_before > now() + interval '1 hour') AND kind = ANY($1) ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED`,
        [[...this.handlers.keys()], this.settings.batchSize],
      );
      if (claimed.length === 0 || !this.started) {
        return 0;
      }
      const done: string[] = [];
      const failed: { row: Claimed; error: unknown }[] = [];
      await Promise.all(
        claimed.map(async (row) => {
          try {
            await this.handlers.get(row.kind)?.(row.payload);
            done.push(row.id);
          } catch (error) {
            failed.push({ row, error });
          }
        }),
      );
      if (done.length > 0) {
        await manager.query(`DELETE FROM outbox WHERE id = ANY($1::bigint[])`, [done]);
      }
      for (const { row, error } of failed) {
        await this.postpone(manager, row, error);
      }
      return claimed.length;
    });
  }

  private async postpone(manager: EntityManager, row: Claimed, error: unknown): Promise<void> {
    const delayMs = this.retryDelayMs(row.attempts);
    const message = error instanceof Error ? error.message : String(error);
    this.log.warn(
      { err: error, kind: row.kind, attempts: row.attempts + 1, delayMs },
      'an effect failed; trying again',
    );
    await manager.query(
      `UPDATE outbox SET attempts = attempts + 1, last_error = $2,
         not_before = clock_timestamp() + $3 * interval '1 millisecond' WHERE id = $1`,
      [row.id, message.slice(0, 2_000), delayMs],
    );
    this.pokeIn(delayMs);
  }

  private retryDelayMs(attempts: number): number {
    const { firstRetryMs, longestRetryMs, random } = this.settings;
    const full = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(attempts, 20));
    return Math.round(full * (0.5 + random() / 2));
  }

  private pokeIn(delayMs: number): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.poke();
    }, delayMs + 1);
    this.timers.add(timer);
  }

  private commitListener(): EntitySubscriberInterface {
    // Also broadcast for savepoints, while the transaction goes on.
    return {
      afterTransactionCommit: ({ queryRunner }: TransactionCommitEvent) => {
        if (!queryRunner.isTransactionActive && this.pokeAfterCommit.delete(queryRunner)) {
          this.poke();
        }
      },
      afterTransactionRollback: ({ queryRunner }: TransactionRollbackEvent) => {
        if (!queryRunner.isTransactionActive) {
          this.pokeAfterCommit.delete(queryRunner);
        }
      },
    };
  }
}
