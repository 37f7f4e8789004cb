import type { KeyMode } from '@mqtt2go/protocol';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** What a manufacturer has told of a device. The activation code is not in it to be read, only what recognises it. */
@Entity({ schema, name: 'factory_device' })
export class FactoryDevice {
  @PrimaryColumn({ name: 'device_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'factory_device_pk' })
  deviceId: string;

  @Column({ name: 'device_type', type: 'varchar', length: 64 })
  deviceType: string;

  /** HMAC-SHA-256 of device id and activation code. */
  @Column({ name: 'activation_code_hash', type: 'bytea' })
  activationCodeHash: Buffer;

  /** The code itself, sealed, so that it can move with the device's home; null for a record from before it was kept. */
  @Column({ name: 'activation_code_sealed', type: 'bytea', nullable: true })
  activationCodeSealed: Buffer | null;

  @Column({ name: 'key_mode', type: 'varchar', length: 16 })
  keyMode: KeyMode;

  /** PEM SubjectPublicKeyInfo of the pre-loaded certificate. */
  @Column({ name: 'public_key', type: 'text', nullable: true })
  publicKey: string | null;
}
