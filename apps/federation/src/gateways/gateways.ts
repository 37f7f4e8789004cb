import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type AuditAction, auditRows, callerActor, insertAudit, writeAudit } from '@mqtt2go/audit';
import { type certificateAuthority, currentCaller, type federation } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import { readCertificate } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { z } from 'zod';
import type { GatewayCaller } from '../link/contract.js';
import { schema } from '../schema.js';
import { closeBridge, placeHome, trustGateway, type trustPayload } from './gateway-effects.js';

type Certificates = z.output<typeof certificateAuthority.gatewayCertificates>;
type GatewayView = z.output<typeof federation.listGateways.output>['gateways'][number];

const invitationMs = 24 * 60 * 60 * 1_000;
const tokenBytes = 32;
const pageSize = 500;

/** An invitation that is good, and what was answered to it if it was used. */
export interface OpenInvitation {
  readonly answer: Certificates | undefined;
}

interface GatewayRow {
  readonly home_id: string;
  readonly gateway_id: string;
  readonly token_hash: Buffer;
  readonly invited_at: Date;
  readonly invited_until: Date;
  readonly enrolled_at: Date | null;
  readonly request_hash: Buffer | null;
  readonly answer: Certificates | null;
  readonly revoked_at: Date | null;
  readonly seen_at: Date | null;
  readonly not_after: Date | null;
}

/** The gateways that were invited to this cloud, and the certificates of those that are enrolled. */
@Injectable()
export class Gateways {
  constructor(
    private readonly dataSource: DataSource,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /** Makes an invitation in the place of an earlier one. The token is nowhere kept, but for its hash. */
  async invite({ homeId, gatewayId }: GatewayCaller): Promise<{ token: string; expiresAt: Date }> {
    const token = randomBytes(tokenBytes).toString('base64url');
    const now = new Date(this.clock.now());
    const expiresAt = new Date(now.getTime() + invitationMs);
    await this.dataSource.transaction(async (manager) => {
      await manager.query(
        `WITH audited AS (${insertAudit(schema, '$6')})
       INSERT INTO federation.gateway (home_id, gateway_id, token_hash, invited_at, invited_until)
       VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (home_id, gateway_id) DO UPDATE
         SET token_hash = excluded.token_hash, invited_at = excluded.invited_at, invited_until = excluded.invited_until,
           enrolled_at = NULL, request_hash = NULL, answer = NULL, revoked_at = NULL`,
        [homeId, gatewayId, hashOf(token), now, expiresAt, audited('gateway.invited', { homeId, gatewayId })],
      );
      await this.outbox.add(manager, placeHome, { homeId, gatewayId });
    });
    return { token, expiresAt };
  }

  /**
   * @param requestHash of the keys that certificates are asked for
   * @throws Mqtt2goError `invitation_invalid`, without a word on what it lacks
   */
  async open({ homeId, gatewayId }: GatewayCaller, token: string, requestHash: Buffer): Promise<OpenInvitation> {
    const [row] = await this.dataSource.query<GatewayRow[]>(
      'SELECT * FROM federation.gateway WHERE home_id = $1 AND gateway_id = $2',
      [homeId, gatewayId],
    );
    const isToken = timingSafeEqual(row?.token_hash ?? hashOf(''), hashOf(token));
    const isGood =
      row !== undefined && isToken && row.revoked_at === null && this.clock.now() < row.invited_until.getTime();
    const isOthers = row?.request_hash != null && !row.request_hash.equals(requestHash);
    if (!isGood || isOthers) throw new Mqtt2goError('invitation_invalid');
    return { answer: row.answer ?? undefined };
  }

  /**
   * Stores what an invitation was answered with; from then on its certificate is let in at the door, and no earlier one.
   * @throws Mqtt2goError `invitation_invalid` when it was used with other keys meanwhile, taken back or replaced
   */
  async enrolled(caller: GatewayCaller, token: string, requestHash: Buffer, answer: Certificates): Promise<void> {
    const { homeId, gatewayId } = caller;
    const enrolledAt = new Date(this.clock.now());
    await this.dataSource.transaction(async (manager) => {
      const stored = await manager.query<unknown[]>(
        `WITH stored AS (
           UPDATE federation.gateway SET enrolled_at = $4, request_hash = $5, answer = $6
           WHERE home_id = $1 AND gateway_id = $2 AND token_hash = $3 AND revoked_at IS NULL AND enrolled_at IS NULL
           RETURNING 1
         ), audited AS (${insertAudit(schema, '$7', 'stored')})
         SELECT 1 FROM stored`,
        [
          homeId,
          gatewayId,
          hashOf(token),
          enrolledAt,
          requestHash,
          JSON.stringify(answer),
          audited('gateway.enrolled', caller, { fingerprint: readCertificate(answer.identity).fingerprint }),
        ],
      );
      if (stored.length === 0) throw new Mqtt2goError('invitation_invalid');
      await manager.query('DELETE FROM federation.gateway_certificate WHERE home_id = $1 AND gateway_id = $2', [
        homeId,
        gatewayId,
      ]);
      await addCertificate(manager, caller, answer.identity);
      await this.addTrust(manager, caller, answer.issuing, enrolledAt);
    });
  }

  /** Lets a further certificate of an enrolled gateway in; the earlier ones end by themselves. @throws `forbidden` */
  async renewed(caller: GatewayCaller, { identity, issuing }: Certificates): Promise<void> {
    const { homeId, gatewayId } = caller;
    await this.dataSource.transaction(async (manager) => {
      const [row] = await manager.query<GatewayRow[]>(
        'SELECT enrolled_at, revoked_at FROM federation.gateway WHERE home_id = $1 AND gateway_id = $2 FOR UPDATE',
        [homeId, gatewayId],
      );
      if (row === undefined || row.revoked_at !== null) throw new Mqtt2goError('forbidden');
      await addCertificate(manager, caller, identity);
      if (row.enrolled_at !== null) await this.addTrust(manager, caller, issuing, row.enrolled_at);
      await manager.query('DELETE FROM federation.gateway_certificate WHERE not_after < $1', [
        new Date(this.clock.now()),
      ]);
      await writeAudit(manager, schema, [
        { actor: callerActor(undefined, 'federation'), action: 'gateway.renewed', homeId, details: { gatewayId } },
      ]);
    });
  }

  private async addTrust(
    manager: EntityManager,
    { homeId, gatewayId }: GatewayCaller,
    authority: string,
    enrolledAt: Date,
  ): Promise<void> {
    const payload: z.input<typeof trustPayload> = {
      homeId,
      gatewayId,
      authority,
      enrolledAt: enrolledAt.toISOString(),
    };
    await this.outbox.add(manager, trustGateway, payload);
  }

  /** Which gateway has this certificate. @param fingerprint lower-case hex SHA-256 */
  async findByCertificate(fingerprint: string): Promise<GatewayCaller | undefined> {
    const [row] = await this.dataSource.query<GatewayCaller[]>(
      `WITH caller AS (
         SELECT g.home_id, g.gateway_id FROM federation.gateway_certificate c JOIN federation.gateway g USING (home_id, gateway_id)
         WHERE c.fingerprint = $1 AND g.revoked_at IS NULL AND c.not_after > $2
       ), seen AS (
         UPDATE federation.gateway g SET seen_at = $2 FROM caller c
         WHERE g.home_id = c.home_id AND g.gateway_id = c.gateway_id
           AND (g.seen_at IS NULL OR g.seen_at < $2::timestamptz - interval '1 minute')
       )
       SELECT home_id AS "homeId", gateway_id AS "gatewayId" FROM caller`,
      [fingerprint, new Date(this.clock.now())],
    );
    return row;
  }

  /** By home and id. */
  async list(homeId: string | undefined, after: GatewayCaller | undefined): Promise<GatewayView[]> {
    const rows = await this.dataSource.query<GatewayRow[]>(
      `SELECT g.*, (SELECT max(c.not_after) FROM federation.gateway_certificate c
         WHERE c.home_id = g.home_id AND c.gateway_id = g.gateway_id) AS not_after
       FROM federation.gateway g
       WHERE ($1::text IS NULL OR home_id = $1) AND ($2::text IS NULL OR (home_id, gateway_id) > ($2, $3))
       ORDER BY home_id, gateway_id LIMIT ${pageSize}`,
      [homeId ?? null, after?.homeId ?? null, after?.gatewayId ?? null],
    );
    return rows.map((row) => viewOf(row, this.clock.now()));
  }

  /** Turns a gateway away; that its bridge ends is stored in the same transaction. @throws Mqtt2goError `unknown_gateway` */
  async revoke(caller: GatewayCaller): Promise<void> {
    const { homeId, gatewayId } = caller;
    await this.dataSource.transaction(async (manager) => {
      const known = await manager.query<{ is_new: boolean }[]>(
        `WITH before AS (
           SELECT revoked_at FROM federation.gateway WHERE home_id = $1 AND gateway_id = $2 FOR UPDATE
         ), revoked AS (
           UPDATE federation.gateway SET revoked_at = $3, answer = NULL
           WHERE home_id = $1 AND gateway_id = $2 AND revoked_at IS NULL RETURNING 1
         ), audited AS (${insertAudit(schema, '$4', 'revoked')})
         SELECT revoked_at IS NULL AS is_new FROM before`,
        [homeId, gatewayId, new Date(this.clock.now()), audited('gateway.revoked', caller)],
      );
      if (known.length === 0) throw new Mqtt2goError('unknown_gateway', 'No such gateway was invited.');
      await manager.query('DELETE FROM federation.gateway_certificate WHERE home_id = $1 AND gateway_id = $2', [
        homeId,
        gatewayId,
      ]);
      await this.outbox.add(manager, closeBridge, { homeId, gatewayId });
    });
  }
}

async function addCertificate(
  manager: EntityManager,
  { homeId, gatewayId }: GatewayCaller,
  identity: string,
): Promise<void> {
  const { fingerprint, serialNumber, notAfterMs } = readCertificate(identity);
  await manager.query(
    `INSERT INTO federation.gateway_certificate (fingerprint, home_id, gateway_id, serial_number, not_after)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
    [fingerprint, homeId, gatewayId, serialNumber, new Date(notAfterMs)],
  );
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function audited(
  action: AuditAction,
  { homeId, gatewayId }: GatewayCaller,
  details: Readonly<Record<string, string>> = {},
): string {
  const actor = callerActor(currentCaller(), 'federation');
  return auditRows([{ actor, action, homeId, details: { gatewayId, ...details } }]);
}

function viewOf(row: GatewayRow, nowMs: number): GatewayView {
  const { enrolled_at: enrolledAt, seen_at: seenAt, not_after: notAfter } = row;
  return {
    homeId: row.home_id,
    gatewayId: row.gateway_id,
    state: stateOf(row, nowMs),
    invitedAt: row.invited_at.toISOString(),
    ...(enrolledAt && { enrolledAt: enrolledAt.toISOString() }),
    ...(seenAt && { seenAt: seenAt.toISOString() }),
    ...(notAfter && { notAfter: notAfter.toISOString() }),
  };
}

function stateOf(row: GatewayRow, nowMs: number): GatewayView['state'] {
  if (row.revoked_at !== null) return 'revoked';
  // One that was invited anew is enrolled until another enrols in its place.
  if (row.enrolled_at !== null || row.not_after !== null) return 'enrolled';
  return nowMs < row.invited_until.getTime() ? 'invited' : 'expired';
}
