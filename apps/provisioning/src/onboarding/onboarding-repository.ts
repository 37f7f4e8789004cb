import { type AuditEntry, auditRows, insertAudit } from '@mqtt2go/audit';
import { type Effect, mayComeByNetwork, type Onboarding } from '@mqtt2go/onboarding';
import type { KeyMode } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, In, type Repository } from 'typeorm';
import { schema } from '../schema.js';
import { OnboardingRow, openSql, owedSql, presentSql } from './onboarding.entity.js';
import { insertedColumns, toColumns, toOnboarding, updatedColumns } from './onboarding-columns.js';

/** How long a step is its taker's alone, unless that renews it; a killed process keeps nothing longer. */
export const leaseMs = 1_500;

/** Longer than any lease and any rest of a step that has failed: the system's clock has gone back since. */
const strayLeaseSql = "lease_until > clock_timestamp() + interval '1 hour'";

/** An open onboarding that owes a step, and how often the step has failed. */
export interface Owed {
  readonly onboarding: Onboarding;
  readonly attempts: number;
}

/** What a factory record adds to a request. */
export interface KnownDevice {
  readonly deviceType: string;
  readonly keyMode: KeyMode;
  /** PEM SubjectPublicKeyInfo. */
  readonly publicKey: string | undefined;
}

/** A change to be stored, if the row is still as it was. */
export interface Change {
  readonly from: Onboarding;
  readonly to: Onboarding;
  readonly effects: readonly Effect[];
  readonly entry: AuditEntry | undefined;
}

/** The onboardings' table. A change is one statement, its effects and its audit entry included, guarded by what it was based on. */
@Injectable()
export class OnboardingRepository {
  private readonly rows: Repository<OnboardingRow>;

  constructor(private readonly dataSource: DataSource) {
    this.rows = dataSource.getRepository(OnboardingRow);
  }

  async find(onboardingId: string): Promise<Onboarding | undefined> {
    const row = await this.rows.findOneBy({ onboardingId });
    return row ? toOnboarding(row) : undefined;
  }

  /** The latest of a device, ended ones included. */
  async newest(deviceId: string): Promise<Onboarding | undefined> {
    const row = await this.rows.findOne({ where: { deviceId }, order: { sequence: 'DESC' } });
    return row ? toOnboarding(row) : undefined;
  }

  /** The one of a device that is open, if any, and the one by which it is at home, if any; the latest first. */
  async present(deviceId: string): Promise<Onboarding[]> {
    const rows = await this.rows
      .createQueryBuilder('row')
      .where('row.deviceId = :deviceId', { deviceId })
      .andWhere(`row.${presentSql}`)
      .orderBy('row.sequence', 'DESC')
      .limit(2)
      .getMany();
    return rows.map(toOnboarding);
  }

  /** The open ones that stand in the way of a new one. */
  async blocking({ homeId, gatewayId, deviceId, activationCode }: Onboarding): Promise<Onboarding[]> {
    const same = [{ homeId, gatewayId }, { deviceId }, { activationCode: activationCode ?? '' }];
    const found = await Promise.all(
      same.map((where) => this.rows.createQueryBuilder('row').where(where).andWhere(`row.${openSql}`).getOne()),
    );
    return found.filter((row) => row !== null).map(toOnboarding);
  }

  /**
   * Adds the first onboarding of a device, completed from its factory record, in one statement. Undefined when
   * it takes a closer look: no record with this code, or the device is at home or being added already.
   * @throws QueryFailedError for the unique indexes
   */
  async insertKnown(
    draft: Onboarding,
    deviceType: string | undefined,
    codeHash: Buffer,
    entry: AuditEntry,
  ): Promise<KnownDevice | undefined> {
    const [row] = await this.dataSource.query<{ device_type: string; key_mode: KeyMode; public_key: string | null }[]>(
      `WITH record AS (
         SELECT coalesce($2, device_type) AS device_type, key_mode, public_key
         FROM factory_device WHERE device_id = $1 AND activation_code_hash = $3
       ), added AS (
         INSERT INTO onboarding (${insertedColumns}, changed_at, lease_until)
         SELECT ${insertedColumns}, requested_at, clock_timestamp() + $5 * interval '1 millisecond'
         FROM (
           SELECT made.* FROM record, jsonb_populate_record(
             NULL::onboarding, $4::jsonb || jsonb_build_object('device_type', record.device_type, 'key_mode', record.key_mode)
           ) AS made
         ) AS new_row
         WHERE NOT EXISTS (SELECT 1 FROM onboarding WHERE device_id = $1 AND ${presentSql})
         RETURNING onboarding_id
       ), audited AS (${insertAudit(schema, '$6', 'added')})
       SELECT record.device_type, record.key_mode, record.public_key FROM record, added`,
      [draft.deviceId, deviceType ?? null, codeHash, JSON.stringify(toColumns(draft)), leaseMs, auditRows([entry])],
    );
    return row && { deviceType: row.device_type, keyMode: row.key_mode, publicKey: row.public_key ?? undefined };
  }

  /**
   * Adds an onboarding, after the end of the one that it takes the place of. False, with nothing changed, if that
   * one was not as expected any more.
   * @throws QueryFailedError for the unique indexes
   */
  async insert(onboarding: Onboarding, entry: AuditEntry, before: Change | undefined, nowMs: number): Promise<boolean> {
    if (!before) {
      await this.insertRow(this.dataSource.manager, onboarding, entry);
      return true;
    }
    return this.dataSource.transaction(async (manager) => {
      if (!(await this.saveIn(manager, before, nowMs))) return false;
      await this.insertRow(manager, onboarding, entry);
      return true;
    });
  }

  /** Stores a change and its effects together. False, with nothing changed, if the row was not as expected any more. */
  save(change: Change, nowMs: number): Promise<boolean> {
    return this.saveIn(this.dataSource.manager, change, nowMs);
  }

  /** Has effects carried out without a change. */
  async addEffects(onboarding: Onboarding, effects: readonly Effect[]): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO outbox (kind, payload)
       SELECT kind, payload FROM jsonb_to_recordset($1::jsonb) AS effect (kind text, payload jsonb)`,
      [effectRows(onboarding, effects)],
    );
  }

  /** Open ones whose time is up, the longest overdue first. */
  async overdue(nowMs: number, limit: number): Promise<Onboarding[]> {
    const rows = await this.rows
      .createQueryBuilder('row')
      .where(`row.${openSql}`)
      .andWhere('row.deadline <= :now', { now: new Date(nowMs) })
      .orderBy('row.deadline')
      .limit(limit)
      .getMany();
    return rows.map(toOnboarding);
  }

  /** Those whose device may come into a network that was opened for it. */
  async withNetwork(): Promise<Onboarding[]> {
    const rows = await this.rows
      .createQueryBuilder('row')
      .where(`row.${openSql}`)
      .andWhere('row.network IS NOT NULL')
      .getMany();
    return rows.map(toOnboarding).filter(mayComeByNetwork);
  }

  /** Gives the open ones as much time as they had, when it is another time; what works on one of them reads it again. */
  async moveDeadlines(byMs: number): Promise<void> {
    await this.dataSource.query(
      `UPDATE onboarding SET requested_at = requested_at + $1 * interval '1 millisecond',
         deadline = deadline + $1 * interval '1 millisecond', version = version + 1
       WHERE ${openSql}`,
      [byMs],
    );
  }

  /** Takes up steps that nobody works on; they are the caller's for {@link leaseMs}. */
  async takeOwed(limit: number): Promise<Owed[]> {
    const taken = await this.dataSource.query<{ onboarding_id: string }[]>(
      `WITH taken AS (
         UPDATE onboarding SET lease_until = clock_timestamp() + $2 * interval '1 millisecond'
         WHERE onboarding_id IN (
           SELECT onboarding_id FROM onboarding
           WHERE ${owedSql} AND (lease_until <= clock_timestamp() OR ${strayLeaseSql})
           ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING onboarding_id
       ) SELECT onboarding_id FROM taken`,
      [limit, leaseMs],
    );
    if (taken.length === 0) return [];
    const rows = await this.rows.findBy({ onboardingId: In(taken.map((row) => row.onboarding_id)) });
    return rows.map((row) => ({ onboarding: toOnboarding(row), attempts: row.attempts }));
  }

  /** Keeps steps that are being worked on from being taken up by others. */
  async renewLeases(onboardingIds: readonly string[]): Promise<void> {
    await this.dataSource.query(
      `UPDATE onboarding SET lease_until = greatest(lease_until, clock_timestamp() + $2 * interval '1 millisecond')
       WHERE onboarding_id = ANY($1::uuid[]) AND ${owedSql}`,
      [onboardingIds, leaseMs],
    );
  }

  /** Lets a step that failed rest. */
  async postpone({ onboardingId, version }: Onboarding, delayMs: number): Promise<void> {
    await this.dataSource.query(
      `UPDATE onboarding SET attempts = attempts + 1, lease_until = clock_timestamp() + $3 * interval '1 millisecond'
       WHERE onboarding_id = $1 AND version = $2`,
      [onboardingId, version, delayMs],
    );
  }

  /** Removes onboardings that came to nothing and ended before `beforeMs`; at most `limit`. Returns how many. */
  async removeEnded(beforeMs: number, limit: number): Promise<number> {
    const removed = await this.dataSource.query<unknown[]>(
      `WITH removed AS (
         DELETE FROM onboarding WHERE onboarding_id IN (
           SELECT onboarding_id FROM onboarding
           WHERE state IN ('expired', 'refused', 'cancelled') AND changed_at < $1 LIMIT $2)
         RETURNING 1
       ) SELECT 1 FROM removed`,
      [new Date(beforeMs), limit],
    );
    return removed.length;
  }

  /** How many are in each open state. */
  async countOpen(): Promise<ReadonlyMap<string, number>> {
    const counts = await this.dataSource.query<{ state: string; count: number }[]>(
      `SELECT state, count(*)::integer AS count FROM onboarding WHERE ${openSql} GROUP BY state`,
    );
    return new Map(counts.map(({ state, count }) => [state, count]));
  }

  private async insertRow(manager: EntityManager, onboarding: Onboarding, entry: AuditEntry): Promise<void> {
    await manager.query(
      `WITH audited AS (${insertAudit(schema, '$3')})
       INSERT INTO onboarding (${insertedColumns}, changed_at, lease_until)
       SELECT ${insertedColumns}, requested_at, clock_timestamp() + $2 * interval '1 millisecond'
       FROM jsonb_populate_record(NULL::onboarding, $1::jsonb)`,
      [JSON.stringify(toColumns(onboarding)), leaseMs, auditRows([entry])],
    );
  }

  private async saveIn(manager: EntityManager, { from, to, effects, entry }: Change, nowMs: number): Promise<boolean> {
    const moved = await manager.query<unknown[]>(
      `WITH moved AS (
         UPDATE onboarding
         SET (${updatedColumns}) = (SELECT ${updatedColumns} FROM jsonb_populate_record(NULL::onboarding, $4::jsonb)),
             changed_at = $5, attempts = 0, lease_until = clock_timestamp() + $6 * interval '1 millisecond'
         WHERE onboarding_id = $1 AND state = $2 AND version = $3
         RETURNING 1
       ), set_off AS (
         INSERT INTO outbox (kind, payload)
         SELECT kind, payload FROM moved, jsonb_to_recordset($7::jsonb) AS effect (kind text, payload jsonb)
       ), audited AS (${insertAudit(schema, '$8', 'moved')})
       SELECT 1 FROM moved`,
      [
        from.onboardingId,
        from.state,
        from.version,
        JSON.stringify(toColumns(to)),
        new Date(nowMs),
        leaseMs,
        effectRows(to, effects),
        auditRows(entry === undefined ? [] : [entry]),
      ],
    );
    return moved.length > 0;
  }
}

/** As the outbox's table has them; the kind says what to do, the payload for whom. */
function effectRows({ onboardingId, deviceId }: Onboarding, effects: readonly Effect[]): string {
  return JSON.stringify(effects.map(({ kind, ...rest }) => ({ kind, payload: { onboardingId, deviceId, ...rest } })));
}
