import type { KeyMode } from '@mqtt2go/protocol';
import { Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import { schema } from '../schema.js';

/** A device that may ask for its broker data, for 15 minutes at most. */
@Entity({ schema, name: 'waiting_activation' })
@Unique('waiting_activation_code_uq', ['activationCode'])
@Index('waiting_activation_expires_at_idx', ['expiresAt'])
export class WaitingActivation {
  @PrimaryColumn({ name: 'device_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'waiting_activation_pk' })
  deviceId: string;

  @Column({ name: 'activation_code', type: 'varchar', length: 64 })
  activationCode: string;

  @Column({ name: 'onboarding_id', type: 'uuid' })
  onboardingId: string;

  /** The revision that the controller spoke. */
  @Column({ name: 'revision', type: 'varchar', length: 16 })
  revision: string;

  @Column({ name: 'broker_host', type: 'varchar', length: 253 })
  brokerHost: string;

  @Column({ name: 'broker_port', type: 'integer' })
  brokerPort: number;

  @Column({ name: 'key_mode', type: 'varchar', length: 16 })
  keyMode: KeyMode;

  /** The bundle for the device, encrypted: it may hold a private key. Null in the `csr` key mode until the claim. */
  @Column({ name: 'sealed_certificate', type: 'bytea', nullable: true })
  sealedCertificate: Buffer | null;

  /** SHA-256 of the public key of the certificate signing request that was answered. */
  @Column({ name: 'csr_key_hash', type: 'bytea', nullable: true })
  csrKeyHash: Buffer | null;

  @Column({ name: 'expires_at', type: 'timestamptz' })
  expiresAt: Date;

  /** When provisioning first heard that the device is here. */
  @Column({ name: 'claimed_at', type: 'timestamptz', nullable: true })
  claimedAt: Date | null;
}
