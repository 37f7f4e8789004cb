import { type AuditEntry, auditRows, insertAudit } from '@mqtt2go/audit';
import type { MoveView } from '@mqtt2go/messaging';
import type { MoveStateName } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schema } from '../schema.js';

export interface Move {
  readonly moveId: string;
  readonly homeId: string;
  readonly to: 'remote' | 'local';
  readonly state: MoveStateName;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly devices: number;
  readonly copied: number;
  readonly awaited: number;
  readonly brokerHost: string | null;
  readonly brokerPort: number | null;
  readonly requestedAt: Date;
  readonly deadline: Date;
  readonly changedAt: Date;
}

/** What is told of a move while it stays in its state. */
export type Progress = Partial<
  Pick<Move, 'reason' | 'detail' | 'devices' | 'copied' | 'awaited' | 'brokerHost' | 'brokerPort'>
>;

const columns = `move_id AS "moveId", home_id AS "homeId", direction AS "to", state, reason, detail, devices, copied, awaited,
  broker_host AS "brokerHost", broker_port AS "brokerPort", requested_at AS "requestedAt", deadline, changed_at AS "changedAt"`;

/** The moves' table; each change of a state is one statement, guarded by the state that it was based on. */
@Injectable()
export class MovesRepository {
  constructor(private readonly dataSource: DataSource) {}

  /** False, and nothing stored, while another move of the home is open. */
  async add(move: Move, entry: AuditEntry): Promise<boolean> {
    const added = await this.dataSource.query<unknown[]>(
      `WITH added AS (
         INSERT INTO federation.move (move_id, home_id, direction, state, devices, requested_at, deadline, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $6) ON CONFLICT DO NOTHING RETURNING 1
       ), audited AS (${insertAudit(schema, '$8', 'added')}) SELECT 1 FROM added`,
      [
        move.moveId,
        move.homeId,
        move.to,
        move.state,
        move.devices,
        move.requestedAt,
        move.deadline,
        auditRows([entry]),
      ],
    );
    return added.length > 0;
  }

  async newest(homeId: string): Promise<Move | undefined> {
    const [move] = await this.dataSource.query<Move[]>(
      `SELECT ${columns} FROM federation.move WHERE home_id = $1 ORDER BY sequence DESC LIMIT 1`,
      [homeId],
    );
    return move;
  }

  /** The move that has brought the home where it is; undefined while another one is under way. */
  async settled(homeId: string): Promise<Move | undefined> {
    const [move] = await this.dataSource.query<Move[]>(
      `/* background */ SELECT ${columns} FROM federation.move WHERE home_id = $1 AND state = 'moved'
         AND NOT EXISTS (SELECT FROM federation.move WHERE home_id = $1 AND state NOT IN ('moved', 'rolled-back'))
       ORDER BY sequence DESC LIMIT 1`,
      [homeId],
    );
    return move;
  }

  async open(): Promise<Move[]> {
    return this.dataSource.query(
      `/* background */ SELECT ${columns} FROM federation.move WHERE state NOT IN ('moved', 'rolled-back') ORDER BY sequence`,
    );
  }

  /** Undefined if the move was in another state by then. */
  async change(
    move: Move,
    state: MoveStateName,
    nowMs: number,
    progress: Progress,
    entry: AuditEntry,
  ): Promise<Move | undefined> {
    const to = { ...move, reason: null, detail: null, ...progress };
    const [changed] = await this.dataSource.query<Move[]>(
      `WITH changed AS (
         UPDATE federation.move SET state = $3, changed_at = $4, reason = $5, detail = $6, devices = $7, copied = $8,
           awaited = $9, broker_host = $10, broker_port = $11
         WHERE move_id = $1 AND state = $2 RETURNING *
       ), audited AS (${insertAudit(schema, '$12', 'changed')}) SELECT ${columns} FROM changed`,
      [
        move.moveId,
        move.state,
        state,
        new Date(nowMs),
        to.reason,
        to.detail?.slice(0, 1_000) ?? null,
        to.devices,
        to.copied,
        to.awaited,
        to.brokerHost,
        to.brokerPort,
        auditRows([entry]),
      ],
    );
    return changed;
  }

  async note({ moveId, state }: Move, progress: Progress): Promise<void> {
    await this.dataSource.query(
      `UPDATE federation.move SET reason = CASE WHEN $7 THEN $3 ELSE reason END, detail = CASE WHEN $7 THEN $4 ELSE detail END,
         copied = coalesce($5, copied), awaited = coalesce($6, awaited)
       WHERE move_id = $1 AND state = $2`,
      [
        moveId,
        state,
        progress.reason ?? null,
        progress.detail?.slice(0, 1_000) ?? null,
        progress.copied ?? null,
        progress.awaited ?? null,
        progress.reason !== undefined,
      ],
    );
  }
}

export function viewOf(move: Move): MoveView {
  const { moveId, homeId, to, state, reason, detail, devices, copied, awaited, brokerHost, brokerPort } = move;
  return {
    moveId,
    homeId,
    to,
    state,
    ...(reason === null ? {} : { reason }),
    ...(detail === null ? {} : { detail }),
    devices,
    copied,
    awaited,
    ...(brokerHost === null || brokerPort === null ? {} : { broker: { host: brokerHost, port: brokerPort } }),
    requestedAt: move.requestedAt.toISOString(),
    deadline: move.deadline.toISOString(),
    changedAt: move.changedAt.toISOString(),
  };
}
