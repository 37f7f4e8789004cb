import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** The CA for devices of a home's gateway, for home brokers that are told whom to trust. */
@Entity({ schema, name: 'gateway_authority' })
export class GatewayAuthority {
  @PrimaryColumn({ name: 'home_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'gateway_authority_pk' })
  homeId: string;

  @PrimaryColumn({ name: 'gateway_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'gateway_authority_pk' })
  gatewayId: string;

  /** SHA-256 of its public key, hex. A box that has taken another's place has a key of its own; what that has issued stays good. */
  @PrimaryColumn({ name: 'key_hash', type: 'varchar', length: 64, primaryKeyConstraintName: 'gateway_authority_pk' })
  keyHash: string;

  /** PEM: the newest of this key. */
  @Column({ name: 'certificate', type: 'text' })
  certificate: string;
}
