import { type AuditEntry, auditRow, callerActor, insertAuditEach } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import type { KeyMode } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { isForeignKey, withOwnKey } from '../certificates/device-keys.js';
import { schema } from '../schema.js';
import { GroupCommit } from './group-commit.js';
import type { SettlementOutcome } from './onboarding-certificate.entity.js';

export interface NewOnboardingCertificate {
  readonly onboardingId: string;
  readonly deviceId: string;
  readonly keyMode: KeyMode;
  readonly serialNumber: string;
  readonly publicKeyHash: Buffer;
  /** DER. */
  readonly certificate: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly sealedKey: Uint8Array | undefined;
}

export interface StoredOnboardingCertificate {
  readonly deviceId: string | null;
  readonly keyMode: KeyMode | null;
  readonly sealedKey: Buffer | null;
  readonly outcome: SettlementOutcome | null;
  readonly serialNumber: string | null;
  readonly publicKeyHash: Buffer | null;
  /** DER. */
  readonly certificate: Buffer | null;
  readonly revokedAt: Date | null;
}

interface Addition {
  readonly added: NewOnboardingCertificate;
  readonly entry: AuditEntry;
}

/** The database side of issuing. */
@Injectable()
export class OnboardingCertificates {
  private readonly additions: GroupCommit<Addition, boolean>;

  constructor(private readonly dataSource: DataSource) {
    this.additions = new GroupCommit({ store: (group) => this.store(group), isOfOneItem: isForeignKey });
  }

  /**
   * Stores what an onboarding is given, and its audit entry, unless it has something already: one statement, one round
   * trip, one commit, together with what others are given at the same time. Of requests that race, one stores and the
   * others find its row.
   * @returns whether it was stored
   * @throws Mqtt2goError `csr_key_mismatch`
   */
  async add(added: NewOnboardingCertificate): Promise<boolean> {
    const { deviceId, onboardingId, serialNumber, keyMode, notAfterMs } = added;
    const entry: AuditEntry = {
      actor: callerActor(currentCaller(), 'provisioning'),
      action: 'certificate.issued',
      deviceId,
      onboardingId,
      details: { serialNumber, keyMode, notAfter: new Date(notAfterMs).toISOString() },
    };
    return withOwnKey(() => this.additions.add({ added, entry }));
  }

  async find(onboardingId: string): Promise<StoredOnboardingCertificate | undefined> {
    const rows: StoredOnboardingCertificate[] = await this.dataSource.query(select, [onboardingId]);
    return rows[0];
  }

  /** Which of them were stored. All are, or none is for an error. */
  private async store(group: readonly Addition[]): Promise<boolean[]> {
    const column = <V>(value: (added: NewOnboardingCertificate) => V): V[] => group.map(({ added }) => value(added));
    const stored: { serial_number: string }[] = await this.dataSource.query(insert, [
      column(({ onboardingId }) => onboardingId),
      column(({ deviceId }) => deviceId),
      column(({ keyMode }) => keyMode),
      column(({ serialNumber }) => serialNumber),
      column(({ sealedKey }) => (sealedKey === undefined ? null : Buffer.from(sealedKey))),
      column(({ publicKeyHash }) => publicKeyHash),
      column(({ certificate }) => Buffer.from(certificate)),
      column(({ notBeforeMs }) => new Date(notBeforeMs)),
      column(({ notAfterMs }) => new Date(notAfterMs)),
      group.map(({ entry }) => auditRow(entry)),
    ]);
    const serialNumbers = new Set(stored.map((row) => row.serial_number));
    return group.map(({ added }) => serialNumbers.has(added.serialNumber));
  }
}

/**
 * The key's row comes before the foreign key of the certificate's is checked, at the end of the statement; where the
 * key is another device's it stays that device's, the check fails, and nothing is stored. Each table is written in one
 * order and the keys after the last of the onboardings, so that no two processes wait for each other.
 */
const insert = `
  WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::varchar[], $3::varchar[], $4::varchar[], $5::bytea[], $6::bytea[], $7::bytea[],
      $8::timestamptz[], $9::timestamptz[], $10::text[]) AS one (onboarding_id, device_id, key_mode, serial_number,
      sealed_key, public_key_hash, certificate, not_before, not_after, entry)
  ), added AS (
    INSERT INTO onboarding_certificate (onboarding_id, device_id, key_mode, serial_number, sealed_key)
    SELECT onboarding_id, device_id, key_mode, serial_number, sealed_key FROM given ORDER BY onboarding_id
    ON CONFLICT (onboarding_id) DO NOTHING
    RETURNING serial_number
  ), issued AS MATERIALIZED (
    SELECT given.* FROM added JOIN given USING (serial_number) ORDER BY public_key_hash
  ), known_key AS (
    INSERT INTO device_key (public_key_hash, device_id)
    SELECT public_key_hash, device_id FROM issued
    ON CONFLICT (public_key_hash) DO NOTHING
  ), audited AS (${insertAuditEach(schema, "'{}'", 'issued', 'entry::jsonb')})
  INSERT INTO device_certificate (serial_number, device_id, public_key_hash, certificate, not_before, not_after)
  SELECT serial_number, device_id, public_key_hash, certificate, not_before, not_after FROM issued
  RETURNING serial_number`;

const select = `
  SELECT o.device_id AS "deviceId", o.key_mode AS "keyMode", o.sealed_key AS "sealedKey", o.outcome,
    c.serial_number AS "serialNumber", c.public_key_hash AS "publicKeyHash", c.certificate, c.revoked_at AS "revokedAt"
  FROM onboarding_certificate o LEFT JOIN device_certificate c USING (serial_number)
  WHERE o.onboarding_id = $1`;
