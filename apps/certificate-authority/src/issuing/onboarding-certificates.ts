import { auditRows, callerActor, insertAudit } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import type { KeyMode } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { withOwnKey } from '../certificates/device-keys.js';
import { schema } from '../schema.js';
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

/** The database side of issuing. */
@Injectable()
export class OnboardingCertificates {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Stores what an onboarding is given, and its audit entry, unless it has something already: one statement, one round trip, one commit. Of
   * requests that race, one stores and the others find its row.
   * @returns whether it was stored
   * @throws Mqtt2goError `csr_key_mismatch`
   */
  async add(added: NewOnboardingCertificate): Promise<boolean> {
    const parameters = [
      added.onboardingId,
      added.deviceId,
      added.keyMode,
      added.serialNumber,
      added.sealedKey === undefined ? null : Buffer.from(added.sealedKey),
      added.publicKeyHash,
      Buffer.from(added.certificate),
      new Date(added.notBeforeMs),
      new Date(added.notAfterMs),
      auditRows([
        {
          actor: callerActor(currentCaller(), 'provisioning'),
          action: 'certificate.issued',
          deviceId: added.deviceId,
          onboardingId: added.onboardingId,
          details: {
            serialNumber: added.serialNumber,
            keyMode: added.keyMode,
            notAfter: new Date(added.notAfterMs).toISOString(),
          },
        },
      ]),
    ];
    const stored: unknown[] = await withOwnKey(() => this.dataSource.query(insert, parameters));
    return stored.length > 0;
  }

  async find(onboardingId: string): Promise<StoredOnboardingCertificate | undefined> {
    const rows: StoredOnboardingCertificate[] = await this.dataSource.query(select, [onboardingId]);
    return rows[0];
  }
}

/**
 * The key's row comes before the foreign key of the certificate's is checked, at the end of the statement; where the
 * key is another device's it stays that device's, the check fails, and nothing is stored.
 */
const insert = `
  WITH added AS (
    INSERT INTO onboarding_certificate (onboarding_id, device_id, key_mode, serial_number, sealed_key)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (onboarding_id) DO NOTHING
    RETURNING device_id, serial_number
  ), known_key AS (
    INSERT INTO device_key (public_key_hash, device_id)
    SELECT $6, device_id FROM added
    ON CONFLICT (public_key_hash) DO NOTHING
  ), audited AS (${insertAudit(schema, '$10', 'added')})
  INSERT INTO device_certificate (serial_number, device_id, public_key_hash, certificate, not_before, not_after)
  SELECT serial_number, device_id, $6, $7, $8, $9 FROM added
  RETURNING serial_number`;

const select = `
  SELECT o.device_id AS "deviceId", o.key_mode AS "keyMode", o.sealed_key AS "sealedKey", o.outcome,
    c.serial_number AS "serialNumber", c.public_key_hash AS "publicKeyHash", c.certificate, c.revoked_at AS "revokedAt"
  FROM onboarding_certificate o LEFT JOIN device_certificate c USING (serial_number)
  WHERE o.onboarding_id = $1`;
