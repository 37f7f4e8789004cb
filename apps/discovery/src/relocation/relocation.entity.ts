import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** A device whose home has moved, and which has not come to its new broker yet. */
@Entity({ schema, name: 'relocation' })
@Index('relocation_code_idx', ['codeHash'])
@Index('relocation_expires_at_idx', ['expiresAt'])
export class Relocation {
  @PrimaryColumn({ name: 'device_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'relocation_pk' })
  deviceId: string;

  @Column({ name: 'home_id', type: 'varchar', length: 64 })
  homeId: string;

  /** HMAC-SHA-256 of the activation code, by which the device is found. */
  @Column({ name: 'code_hash', type: 'bytea' })
  codeHash: Buffer;

  /** Activation code and PEM bundle, encrypted. */
  @Column({ type: 'bytea' })
  sealed: Buffer;

  @Column({ name: 'broker_host', type: 'varchar', length: 253 })
  brokerHost: string;

  @Column({ name: 'broker_port', type: 'integer' })
  brokerPort: number;

  @Column({ name: 'expires_at', type: 'timestamptz', precision: 3 })
  expiresAt: Date;
}
