import { createHash } from 'node:crypto';
import type { HomeCertificate } from '@mqtt2go/messaging';
import { homeOfAuthority, joinPem, publicKeyHash, readCertificate, splitPem, toPem, verifyChain } from '@mqtt2go/pki';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Authorities } from '../authority/authorities.js';
import { withOwnKey } from '../certificates/device-keys.js';

interface Row extends Omit<HomeCertificate, 'certificate' | 'issuerChain'> {
  readonly certificate: Buffer;
  readonly chain: string | null;
}

interface Checked {
  readonly record: HomeCertificate;
  readonly der: Buffer;
  readonly publicKeyHash: Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Null where this platform has issued it. */
  readonly issuerHash: Buffer | null;
}

/** The certificates of a home that moves: what is needed to renew and to revoke them on the other side. */
@Injectable()
export class HomeCertificates {
  constructor(
    private readonly dataSource: DataSource,
    private readonly authorities: Authorities,
    private readonly clock: Clock,
  ) {}

  async of(deviceIds: readonly string[]): Promise<HomeCertificate[]> {
    const own = joinPem(this.authorities.issuing.chain);
    const rows = await this.dataSource.query<Row[]>(select, [deviceIds]);
    return rows.map(({ certificate, chain, ...row }) => ({
      ...row,
      certificate: certificate.toString('base64'),
      issuerChain: chain ?? own,
    }));
  }

  /** How many devices have a certificate, not revoked and not ended, from a CA that is confined to this home. */
  async countOfGateways(homeId: string): Promise<number> {
    const isHomes = (certificate: string | undefined): boolean =>
      certificate !== undefined && homeOfAuthority(certificate) === homeId;
    const foreign = await this.dataSource.query<{ issuer_hash: Buffer; chain: string }[]>(
      'SELECT issuer_hash, chain FROM foreign_issuer',
    );
    const issuers = foreign.filter(({ chain }) => isHomes(splitPem(chain)[0]?.pem)).map((row) => row.issuer_hash);
    const isOwn = isHomes(this.authorities.issuing.certificate);
    const [row] = await this.dataSource.query<{ devices: number }[]>(countOfIssuers, [
      issuers,
      isOwn,
      new Date(this.clock.now()),
    ]);
    return row?.devices ?? 0;
  }

  /**
   * Takes in certificates of a home's devices. One that is revoked on either side is revoked.
   * @throws Mqtt2goError `certificate_not_accepted`, `csr_key_mismatch`
   */
  async take(homeId: string, records: readonly HomeCertificate[]): Promise<void> {
    const checked = records.map((record) => this.check(homeId, record));
    await withOwnKey(() => this.dataSource.transaction((manager) => this.store(manager, checked)));
  }

  private check(homeId: string, record: HomeCertificate): Checked {
    const refuse = (why: string): never => {
      throw new Mqtt2goError('certificate_not_accepted', `${record.deviceId}, ${record.serialNumber}: ${why}.`);
    };
    const der = Buffer.from(record.certificate, 'base64');
    const details = readCertificate(der);
    if (details.commonName !== record.deviceId || details.serialNumber !== record.serialNumber) {
      refuse('the certificate is another one');
    }
    const chain = splitPem(record.issuerChain).map(({ pem }) => pem);
    const own = joinPem(this.authorities.issuing.chain);
    const verdict = verifyChain({
      certificate: toPem('CERTIFICATE', der),
      chain,
      trustAnchors: [this.authorities.root.certificate],
      // One that has ended belongs to the device's history all the same.
      nowMs: undefined,
      purpose: 'client',
    });
    if (!verdict.valid) refuse(`it does not chain to the root that is trusted here (${verdict.reason})`);
    const [issuer] = chain;
    const confinedTo = issuer === undefined ? undefined : homeOfAuthority(issuer);
    if (confinedTo !== undefined && confinedTo !== homeId) refuse('its CA is confined to another home');
    return {
      record,
      der,
      publicKeyHash: publicKeyHash(details.publicKey),
      notBefore: new Date(details.notBeforeMs),
      notAfter: new Date(details.notAfterMs),
      issuerHash: record.issuerChain === own ? null : createHash('sha256').update(record.issuerChain).digest(),
    };
  }

  private async store(manager: EntityManager, checked: readonly Checked[]): Promise<void> {
    for (const { issuerHash, record } of checked) {
      if (issuerHash !== null) await manager.query(addIssuer, [issuerHash, record.issuerChain]);
    }
    for (const { record, der, publicKeyHash: hash, notBefore, notAfter, issuerHash } of checked) {
      await manager.query(addKey, [hash, record.deviceId]);
      await manager.query(upsert, [
        record.serialNumber,
        record.deviceId,
        hash,
        der,
        notBefore,
        notAfter,
        record.renewedFrom,
        record.revokedAt,
        record.revocationReason,
        issuerHash,
      ]);
    }
    for (const { openOnboarding, deviceId, serialNumber } of checked.map(({ record }) => record)) {
      if (openOnboarding === null) await manager.query(completeOnboarding, [serialNumber]);
      else {
        await manager.query(addOnboarding, [openOnboarding.id, deviceId, openOnboarding.keyMode, serialNumber]);
      }
    }
    if (checked.some(({ record }) => record.revokedAt !== null)) {
      await manager.query(`UPDATE published_list SET revocations = revocations + 1 WHERE authority = 'issuing'`);
    }
  }
}

const select = `
  SELECT CASE WHEN o.onboarding_id IS NULL THEN NULL
      ELSE jsonb_build_object('id', o.onboarding_id, 'keyMode', o.key_mode) END AS "openOnboarding",
    c.serial_number AS "serialNumber", c.device_id AS "deviceId", c.certificate, i.chain,
    c.renewed_from AS "renewedFrom", c.revocation_reason AS "revocationReason",
    to_char(c.revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "revokedAt"
  FROM device_certificate c LEFT JOIN foreign_issuer i USING (issuer_hash)
    LEFT JOIN onboarding_certificate o ON o.serial_number = c.serial_number AND o.outcome IS NULL
  WHERE c.device_id = ANY($1::varchar[]) ORDER BY c.device_id COLLATE "C", c.serial_number`;

const countOfIssuers = `
  SELECT count(DISTINCT device_id)::integer AS devices FROM device_certificate
  WHERE revoked_at IS NULL AND not_after > $3 AND (issuer_hash = ANY($1::bytea[]) OR $2 AND issuer_hash IS NULL)`;

const addIssuer = 'INSERT INTO foreign_issuer (issuer_hash, chain) VALUES ($1, $2) ON CONFLICT DO NOTHING';
const addKey = `
  INSERT INTO device_key (public_key_hash, device_id) VALUES ($1, $2) ON CONFLICT (public_key_hash) DO NOTHING`;

/** Named on the other side since it was copied. */
const completeOnboarding = `
  UPDATE onboarding_certificate SET outcome = 'completed', settled_at = clock_timestamp(), sealed_key = NULL
  WHERE serial_number = $1 AND outcome IS NULL`;

/** One that has left this side and comes back is open again. A key that the platform made stays where it was made. */
const addOnboarding = `
  INSERT INTO onboarding_certificate AS o (onboarding_id, device_id, key_mode, serial_number) VALUES ($1, $2, $3, $4)
  ON CONFLICT (onboarding_id) DO UPDATE SET outcome = NULL, settled_at = NULL WHERE o.outcome = 'completed'`;

const upsert = `
  INSERT INTO device_certificate AS c (serial_number, device_id, public_key_hash, certificate, not_before, not_after,
    renewed_from, revoked_at, revocation_reason, issuer_hash)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8::timestamptz, $9, $10)
  ON CONFLICT (serial_number) DO UPDATE
    SET revoked_at = coalesce(c.revoked_at, excluded.revoked_at),
      revocation_reason = CASE WHEN c.revoked_at IS NULL THEN excluded.revocation_reason ELSE c.revocation_reason END`;
