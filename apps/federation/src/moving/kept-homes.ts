import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Kind } from './kept-messages.js';
import { LeaseSettings } from './leases.js';

/** What is to be kept of one home, and how far it is. */
export interface Keeping {
  readonly homeId: string;
  readonly wanted: readonly Kind[];
  /** To be kept no longer, which whoever listens has not done yet. */
  readonly ending: readonly Kind[];
  /** All of it is as it is to be. */
  readonly isSettled: boolean;
  /** No other process listens. */
  readonly isFree: boolean;
}

const leasePrefix = 'listening/';

export function leaseOf(homeId: string): string {
  return `${leasePrefix}${homeId}`;
}

const columns = `
  SELECT home_id AS "homeId",
    coalesce(array_agg(kind) FILTER (WHERE state <> 'ending'), '{}') AS wanted,
    coalesce(array_agg(kind) FILTER (WHERE state = 'ending'), '{}') AS ending,
    bool_and(state = 'kept') AS "isSettled",
    coalesce(bool_or(lease.holder = $1 OR lease.until <= clock_timestamp()), true) AS "isFree"
  FROM federation.kept_home LEFT JOIN federation.lease ON lease.name = '${leasePrefix}' || home_id`;

/**
 * Which homes are listened to, and for what. Any process writes down what is wanted; the one that listens says when it is so:
 * `wanted`, then `kept`; `ending`, then gone.
 */
@Injectable()
export class KeptHomes {
  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: LeaseSettings,
  ) {}

  async want(homeId: string, moveId: string, kind: Kind): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO federation.kept_home (home_id, kind, move_id, state) VALUES ($1, $2, $3, 'wanted')
       ON CONFLICT (home_id, kind) DO UPDATE SET move_id = excluded.move_id, state = excluded.state`,
      [homeId, kind, moveId],
    );
  }

  /** Commands for these are to be kept, each until {@link listens}. */
  async expect(homeId: string, deviceIds: readonly string[]): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO federation.held_device (home_id, device_id) SELECT $1::varchar, unnest($2::varchar[])
       ON CONFLICT DO NOTHING`,
      [homeId, deviceIds],
    );
  }

  async expected(homeId: string): Promise<string[]> {
    const rows = await this.dataSource.query<{ device_id: string }[]>(
      'SELECT device_id FROM federation.held_device WHERE home_id = $1',
      [homeId],
    );
    return rows.map(({ device_id }) => device_id);
  }

  /** All that was said to it before it listened, it has been told. */
  async listens(homeId: string, deviceId: string): Promise<void> {
    await this.dataSource.query('DELETE FROM federation.held_device WHERE home_id = $1 AND device_id = $2', [
      homeId,
      deviceId,
    ]);
  }

  async end(homeId: string, kind: Kind): Promise<void> {
    await this.dataSource.query(`UPDATE federation.kept_home SET state = 'ending' WHERE home_id = $1 AND kind = $2`, [
      homeId,
      kind,
    ]);
  }

  async all(): Promise<Keeping[]> {
    return this.dataSource.query(`/* background */ ${columns} GROUP BY home_id`, [this.settings.holder]);
  }

  /** Undefined if nothing is kept of it. */
  async of(homeId: string): Promise<Keeping | undefined> {
    const [keeping] = await this.dataSource.query<Keeping[]>(`${columns} WHERE home_id = $2 GROUP BY home_id`, [
      this.settings.holder,
      homeId,
    ]);
    return keeping;
  }

  /** For whoever listens: it is as {@link Keeping} said. What was wanted otherwise meanwhile is not touched. */
  async settle({ homeId, wanted, ending }: Keeping): Promise<void> {
    await this.dataSource.query(
      `WITH kept AS (
         UPDATE federation.kept_home SET state = 'kept' WHERE home_id = $1 AND kind = ANY($2::varchar[]) AND state = 'wanted'
       ), ended AS (
         DELETE FROM federation.kept_home WHERE home_id = $1 AND kind = ANY($3::varchar[]) AND state = 'ending' RETURNING kind
       ) DELETE FROM federation.held_device WHERE home_id = $1 AND 'held' IN (SELECT kind FROM ended)`,
      [homeId, wanted, ending],
    );
  }
}
