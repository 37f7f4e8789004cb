import { Column, Entity, ForeignKey, Index, PrimaryColumn, Unique } from 'typeorm';
import { schema } from '../schema.js';
import { ForeignIssuer } from '../moving/foreign-issuer.entity.js';
import { DeviceKey } from './device-key.entity.js';

/** An operational certificate that was issued, for as long as the platform lives. */
@Entity({ schema, name: 'device_certificate' })
@ForeignKey(() => DeviceKey, ['publicKeyHash', 'deviceId'], ['publicKeyHash', 'deviceId'], {
  name: 'device_certificate_key_fk',
})
@ForeignKey(() => ForeignIssuer, ['issuerHash'], ['issuerHash'], { name: 'device_certificate_issuer_fk' })
@Unique('device_certificate_renewal_uq', ['renewedFrom', 'publicKeyHash'])
@Index('device_certificate_device_idx', ['deviceId'])
// With a column that is only carried along, which TypeORM cannot say.
@Index('device_certificate_count_idx', { synchronize: false })
@Index('device_certificate_revoked_idx', ['revokedAt'], { where: 'revoked_at IS NOT NULL' })
export class DeviceCertificate {
  /** Upper-case hex. */
  @PrimaryColumn({
    name: 'serial_number',
    type: 'varchar',
    length: 40,
    primaryKeyConstraintName: 'device_certificate_pk',
  })
  serialNumber: string;

  @Column({ name: 'device_id', type: 'varchar', length: 64 })
  deviceId: string;

  @Column({ name: 'public_key_hash', type: 'bytea' })
  publicKeyHash: Buffer;

  /** DER. */
  @Column({ name: 'certificate', type: 'bytea' })
  certificate: Buffer;

  @Column({ name: 'not_before', type: 'timestamptz' })
  notBefore: Date;

  @Column({ name: 'not_after', type: 'timestamptz' })
  notAfter: Date;

  /** Serial number of the certificate that this one renews. */
  @Column({ name: 'renewed_from', type: 'varchar', length: 40, nullable: true })
  renewedFrom: string | null;

  /** Null where this platform has issued it. */
  @Column({ name: 'issuer_hash', type: 'bytea', nullable: true })
  issuerHash: Buffer | null;

  @Column({ name: 'revoked_at', type: 'timestamptz', nullable: true })
  revokedAt: Date | null;

  @Column({ name: 'revocation_reason', type: 'varchar', length: 32, nullable: true })
  revocationReason: string | null;
}
