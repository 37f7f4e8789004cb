import type { AuditAction } from './actions.js';

/**
 * Who did it. `controller`: a user of the home, by its user name where it is known; MQTT does not tell a subscriber who
 * has published, so that on the home broker it is `<home>/<gateway>`, whose users are the only ones who can. `device`: by
 * its certificate. `operator`: whoever holds the operator's certificate. `service`: on its own account. `system`: a
 * deadline, or the first start.
 */
export interface AuditActor {
  readonly kind: 'controller' | 'device' | 'operator' | 'service' | 'system';
  readonly id: string;
  /** Serial number of the certificate that it came with, upper-case hex. */
  readonly certificate?: string;
}

/** Who did what to which device. Nothing of it may be a secret: no code, password, key or token. */
export interface AuditEntry {
  readonly actor: AuditActor;
  readonly action: AuditAction;
  readonly deviceId?: string | undefined;
  readonly homeId?: string | undefined;
  readonly onboardingId?: string | undefined;
  /** `ok`, or the code of the error; `ok` by default. */
  readonly outcome?: string | undefined;
  /** A few small facts. */
  readonly details?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
}

/**
 * Unix time in milliseconds, where the system's clock is known to be wrong. As that clock, it is one for all of a process;
 * entries have PostgreSQL's time, which is the system's, unless this says otherwise.
 */
let correctedTime: () => number | undefined = () => undefined;

/** From now on entries of this process have the time that `time` gives, where it gives one. Returns the way to take that back. */
export function dateAuditBy(time: () => number | undefined): () => void {
  correctedTime = time;
  return () => {
    if (correctedTime === time) correctedTime = () => undefined;
  };
}

const columns =
  'actor_kind, actor_id, actor_certificate, action, device_id, home_id, onboarding_id, outcome, details' as const;
const types =
  'at timestamptz, actor_kind text, actor_id text, actor_certificate text, action text, device_id text, home_id text, ' +
  'onboarding_id uuid, outcome text, details jsonb';

/**
 * The statement that writes entries; to be a part (WITH) of the statement that makes the change, so that neither is
 * stored without the other and nobody waits for a further round trip.
 * @param schema the service's
 * @param parameter the placeholder, such as `$8`, of what {@link auditRows} gives
 * @param source a part of the statement, such as a WITH query's name: nothing is written where it has no rows
 */
export function insertAudit(schema: string, parameter: string, source?: string): string {
  const when = source === undefined ? '' : ` WHERE EXISTS (SELECT 1 FROM ${source})`;
  return `INSERT INTO ${schema}.audit_entry (at, ${columns})
    SELECT coalesce(at, clock_timestamp()), ${columns} FROM jsonb_to_recordset(${parameter}::jsonb) AS audit_row(${types})${when}`;
}

/** The value for {@link insertAudit}. */
export function auditRows(entries: readonly AuditEntry[]): string {
  return JSON.stringify(entries.map(rowOf));
}

/**
 * As {@link insertAudit}, with an entry for each row of `source`.
 * @param parameter the placeholder of what {@link auditRow} gives
 * @param perRow an SQL expression of a jsonb object, by columns of `audit_entry`: what each row has of its own
 */
export function insertAuditEach(schema: string, parameter: string, source: string, perRow: string): string {
  const given = columns.replaceAll(/\w+/g, 'audit_row.$&');
  return `INSERT INTO ${schema}.audit_entry (at, ${columns})
    SELECT coalesce(audit_row.at, clock_timestamp()), ${given} FROM ${source}, jsonb_to_record(${parameter}::jsonb || ${perRow}) AS audit_row(${types})`;
}

/** The value for {@link insertAuditEach}. */
export function auditRow(entry: AuditEntry): string {
  return JSON.stringify(rowOf(entry));
}

/** Whoever has asked a service over the bus. */
export function callerActor(caller: string | undefined, otherwise: string): AuditActor {
  const id = caller ?? otherwise;
  return { kind: id === 'operator' ? 'operator' : 'service', id };
}

function rowOf({ actor, action, deviceId, homeId, onboardingId, outcome = 'ok', details = {} }: AuditEntry) {
  const nowMs = correctedTime();
  return {
    ...(nowMs !== undefined && { at: new Date(nowMs).toISOString() }),
    actor_kind: actor.kind,
    actor_id: actor.id.slice(0, 160),
    actor_certificate: actor.certificate,
    action,
    device_id: deviceId,
    home_id: homeId,
    // What a message claims to be about may be anything, and must not make the change fail.
    onboarding_id: uuid.test(onboardingId ?? '') ? onboardingId : undefined,
    outcome,
    details,
  };
}

const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

interface Querying {
  query(sql: string, parameters: unknown[]): Promise<unknown>;
}

/** Writes entries by themselves, in the transaction of `manager`. */
export async function writeAudit(manager: Querying, schema: string, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length > 0) await manager.query(insertAudit(schema, '$1'), [auditRows(entries)]);
}
