import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';
import { schema } from '../schema.js';

/** Whose a public key is: from its first certificate on, for good. No two devices have one key. */
@Entity({ schema, name: 'device_key' })
@Unique('device_key_owner_uq', ['publicKeyHash', 'deviceId'])
export class DeviceKey {
  /** SHA-256 of the SubjectPublicKeyInfo. */
  @PrimaryColumn({ name: 'public_key_hash', type: 'bytea', primaryKeyConstraintName: 'device_key_pk' })
  publicKeyHash: Buffer;

  @Column({ name: 'device_id', type: 'varchar', length: 64 })
  deviceId: string;
}
