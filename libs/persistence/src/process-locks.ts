import { createHash } from 'node:crypto';
import { Mqtt2goError } from '@mqtt2go/protocol';
import pLimit, { type LimitFunction } from 'p-limit';
import type { DataSource } from 'typeorm';
import { errorCode } from './error-code.js';

export interface ProcessLocksOptions {
  /** Sets these names apart from those of others on the same database. */
  readonly namespace: string;
  /** How long PostgreSQL leaves a lock with a process that does nothing more; 15,000 by default. */
  readonly holdTimeoutMs?: number;
}

/** Whoever has a lock needs a second connection: at most half of a pool's wait for locks or have them. */
const limits = new WeakMap<DataSource, LimitFunction>();

const statementCancelled = '57014';

/**
 * Lets one of several processes at a time do something to what has a name: PostgreSQL's advisory locks, each in a
 * transaction of its own, so that a killed process's end with its connection, and a paused one's after a while.
 */
export class ProcessLocks {
  private readonly limit: LimitFunction;

  constructor(
    private readonly dataSource: DataSource,
    private readonly options: ProcessLocksOptions,
  ) {
    this.limit = limits.get(dataSource) ?? pLimit(Math.max(1, Math.floor((dataSource.options.poolSize ?? 10) / 2)));
    limits.set(dataSource, this.limit);
  }

  /**
   * Does `work` while no other process, nor another call here, does any under one of `names`.
   * @throws what `work` throws; Mqtt2goError `unavailable` when a lock cannot be had, or was lost before `work` had ended
   */
  async hold<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const keys = [...new Set(names.map((name) => keyOf(`${this.options.namespace}/${name}`)))].sort();
    return this.limit(() => this.holdKeys(keys, work));
  }

  private async holdKeys<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    try {
      await runner.startTransaction().catch(lost);
      // In one order for all, so that no two processes wait for each other.
      await runner
        .query(
          `SELECT set_config('idle_in_transaction_session_timeout', $2, true), pg_advisory_xact_lock(key)
           FROM unnest($1::bigint[]) AS key`,
          [keys, String(this.options.holdTimeoutMs ?? 15_000)],
        )
        .catch(lost);
      const answer = await work();
      await runner.commitTransaction().catch(lost);
      return answer;
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      throw error;
    } finally {
      await runner.release();
    }
  }
}

/** What was done meanwhile may have been done by two at once: it is to be done again. */
function lost(cause: unknown): never {
  const isLate =
    cause instanceof Error && [cause, cause.cause].some((error) => errorCode(error) === statementCancelled);
  const why = isLate ? 'another process has it for too long' : 'the database has let it go';
  throw new Mqtt2goError('unavailable', `a lock could not be had: ${why}`, { cause });
}

/** 64 bits of a name, as PostgreSQL's `bigint` reads them. Two names that share them wait for each other, and no more. */
function keyOf(name: string): string {
  return createHash('sha256').update(name).digest().readBigInt64BE(0).toString();
}
