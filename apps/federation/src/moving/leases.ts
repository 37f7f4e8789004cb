import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

export class LeaseSettings {
  constructor(
    /** Tells this process from the service's others, and is the same after a restart: what it held it has at once. */
    readonly holder: string,
    /** How long another process waits for one that says nothing any more. */
    readonly leaseMs = 10_000,
  ) {}
}

/** Renewed when less than this part of a lease is left. */
const renewedAt = 0.75;

/**
 * Lets one of several processes do something that has a name for as long as it lives: rows with an end, which the holder
 * moves on. Ends are the database's time; a holder measures its own by a clock that nobody sets, from before it has asked.
 */
@Injectable()
export class Leases {
  private readonly endsAtMs = new Map<string, number>();

  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: LeaseSettings,
  ) {}

  /** Whether this process may still do it. */
  holds(name: string): boolean {
    return (this.endsAtMs.get(name) ?? 0) > performance.now();
  }

  /** False while another process has it. */
  async claim(name: string): Promise<boolean> {
    const { holder, leaseMs } = this.settings;
    const endsAtMs = performance.now() + leaseMs;
    const claimed = await this.dataSource.query<unknown[]>(
      `INSERT INTO federation.lease (name, holder, until) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 ms')
       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
       WHERE lease.holder = excluded.holder OR lease.until <= clock_timestamp()
       RETURNING 1`,
      [name, holder, leaseMs],
    );
    if (claimed.length > 0) this.endsAtMs.set(name, endsAtMs);
    else this.endsAtMs.delete(name);
    return claimed.length > 0;
  }

  /** Moves the ends on of those that near theirs; what has become another process's is not held any more. */
  async renew(): Promise<void> {
    const { holder, leaseMs } = this.settings;
    const nowMs = performance.now();
    const due = [...this.endsAtMs].flatMap(([name, endsAtMs]) =>
      endsAtMs - nowMs < leaseMs * renewedAt ? [name] : [],
    );
    if (due.length === 0) return;
    const renewed = await this.dataSource.query<{ name: string }[]>(
      `/* background */ WITH renewed AS (
         UPDATE federation.lease SET until = clock_timestamp() + $3 * interval '1 ms'
         WHERE name = ANY($1::varchar[]) AND holder = $2 RETURNING name
       ) SELECT name FROM renewed`,
      [due, holder, leaseMs],
    );
    const names = new Set(renewed.map(({ name }) => name));
    for (const name of due) {
      if (!names.has(name)) this.endsAtMs.delete(name);
      else if (this.endsAtMs.has(name)) this.endsAtMs.set(name, nowMs + leaseMs);
    }
  }

  /** Leaves it to whoever comes first; what was never left, by processes that are long dead, goes too. */
  async release(name: string): Promise<void> {
    if (!this.endsAtMs.delete(name)) return;
    await this.dataSource.query(
      `DELETE FROM federation.lease
       WHERE name = $1 AND holder = $2 OR until < clock_timestamp() - interval '1 day'`,
      [name, this.settings.holder],
    );
  }
}
