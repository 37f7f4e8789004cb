import type { KeyMode } from '@mqtt2go/protocol';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

export type SettlementOutcome = 'completed' | 'abandoned';

/**
 * What one onboarding was given. A row without a certificate is an onboarding that was abandoned before it had
 * one: a request that comes late finds the row in its place.
 */
@Entity({ schema, name: 'onboarding_certificate' })
export class OnboardingCertificate {
  @PrimaryColumn({ name: 'onboarding_id', type: 'uuid', primaryKeyConstraintName: 'onboarding_certificate_pk' })
  onboardingId: string;

  @Column({ name: 'device_id', type: 'varchar', length: 64, nullable: true })
  deviceId: string | null;

  @Column({ name: 'key_mode', type: 'varchar', length: 16, nullable: true })
  keyMode: KeyMode | null;

  @Column({ name: 'serial_number', type: 'varchar', length: 40, nullable: true })
  serialNumber: string | null;

  /** The key that the platform made (PKCS#8, encrypted), until the onboarding is settled. */
  @Column({ name: 'sealed_key', type: 'bytea', nullable: true })
  sealedKey: Buffer | null;

  @Column({ name: 'outcome', type: 'varchar', length: 16, nullable: true })
  outcome: SettlementOutcome | null;

  @Column({ name: 'settled_at', type: 'timestamptz', nullable: true })
  settledAt: Date | null;
}
