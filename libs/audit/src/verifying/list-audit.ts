import type { ClientBase } from 'pg';
import { type HashedEntry, hashedColumns } from '../chain/hashing.js';
import type { AuditHead } from './verify-audit.js';

export interface AuditFilter {
  readonly deviceId?: string | undefined;
  readonly homeId?: string | undefined;
  readonly onboardingId?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  /** The newest ones count. */
  readonly limit: number;
}

export interface ListedEntry extends HashedEntry {
  readonly schema: string;
  /** Its place in the chain; null while it has none. */
  readonly position: string | null;
}

/** Entries of several services, the oldest first; at most `limit`, and the newest of those that match. */
export async function listAudit(
  client: ClientBase,
  schemas: readonly string[],
  { deviceId, homeId, onboardingId, since, until, limit }: AuditFilter,
): Promise<ListedEntry[]> {
  const lists: ListedEntry[][] = [];
  for (const schema of schemas) {
    const { rows } = await client.query<HashedEntry & { position: string | null }>(
      `SELECT ${hashedColumns}, l.position FROM ${schema}.audit_entry e
       LEFT JOIN ${schema}.audit_link l ON l.seq = e.seq
       WHERE ($1::text IS NULL OR e.device_id = $1) AND ($2::text IS NULL OR e.home_id = $2)
         AND ($3::uuid IS NULL OR e.onboarding_id = $3)
         AND ($4::timestamptz IS NULL OR e.at >= $4) AND ($5::timestamptz IS NULL OR e.at < $5)
       ORDER BY e.seq DESC LIMIT $6`,
      [deviceId ?? null, homeId ?? null, onboardingId ?? null, since ?? null, until ?? null, limit],
    );
    lists.push(rows.map((row) => ({ schema, ...row })));
  }
  return lists
    .flat()
    .toSorted((one, other) => compare(one.at, other.at) || Number(one.seq) - Number(other.seq))
    .slice(-limit);
}

/** The schemas that have an audit log, in their order. */
export async function auditSchemas(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ schema: string }>(
    `SELECT table_schema AS schema FROM information_schema.tables WHERE table_name = 'audit_link' ORDER BY table_schema`,
  );
  return rows.map(({ schema }) => schema);
}

/** Where the chains of all services end now. */
export async function auditHeads(client: ClientBase): Promise<AuditHead[]> {
  const heads: AuditHead[] = [];
  for (const schema of await auditSchemas(client)) {
    const { rows } = await client.query<{ position: string; hash: string }>(
      `SELECT position, encode(hash, 'hex') AS hash FROM ${schema}.audit_link ORDER BY position DESC LIMIT 1`,
    );
    const [last] = rows;
    if (last !== undefined) heads.push({ schema, position: Number(last.position), hash: last.hash });
  }
  return heads;
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
