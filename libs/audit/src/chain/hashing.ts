import { createHash, createHmac, hkdfSync } from 'node:crypto';

/** An entry as it is read for hashing: everything as text, as PostgreSQL writes it. */
export interface HashedEntry {
  /** A bigint. */
  readonly seq: string;
  /** `2026-01-01T00:00:00.000Z`. */
  readonly at: string;
  readonly actor_kind: string;
  readonly actor_id: string;
  readonly actor_certificate: string | null;
  readonly action: string;
  readonly device_id: string | null;
  readonly home_id: string | null;
  readonly onboarding_id: string | null;
  readonly outcome: string;
  /** As jsonb is written: one spelling for each value. */
  readonly details: string;
}

/** What {@link HashedEntry} is selected as, from `audit_entry` under the name `e`. */
export const hashedColumns = `e.seq::text AS seq,
  to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at, e.actor_kind, e.actor_id,
  e.actor_certificate, e.action, e.device_id, e.home_id, e.onboarding_id::text AS onboarding_id, e.outcome,
  e.details::text AS details`;

/** What the first link follows. */
export const beginning = Buffer.alloc(32);

/**
 * The hash of an entry at a place of the chain: SHA-256 of the hash before and, as UTF-8, a JSON array of the entry's
 * values. The array leaves nothing open: no two entries, and no two places, have the same one.
 */
export function hashEntry(schema: string, previous: Uint8Array, position: number, entry: HashedEntry): Buffer {
  const values = [
    'mqtt2go-audit-1',
    schema,
    position,
    entry.seq,
    entry.at,
    entry.actor_kind,
    entry.actor_id,
    entry.actor_certificate,
    entry.action,
    entry.device_id,
    entry.home_id,
    entry.onboarding_id,
    entry.outcome,
    entry.details,
  ];
  return createHash('sha256').update(previous).update(JSON.stringify(values)).digest();
}

/**
 * Derived from the platform's key-encryption key (32 bytes, as such or in base64), so that neither can stand in for the
 * other.
 */
export function sealKeyOf(encryptionKey: Uint8Array | string): Buffer {
  const key = typeof encryptionKey === 'string' ? Buffer.from(encryptionKey.trim(), 'base64') : encryptionKey;
  return Buffer.from(hkdfSync('sha256', key, '', 'mqtt2go audit log', 32));
}

/** What only the holder of the platform's key can make: whoever rewrites the chain in the database cannot seal it. */
export function sealOf(sealKey: Uint8Array, schema: string, position: number, hash: Uint8Array): Buffer {
  return createHmac('sha256', sealKey).update(`${schema}\0${position}\0`).update(hash).digest();
}
