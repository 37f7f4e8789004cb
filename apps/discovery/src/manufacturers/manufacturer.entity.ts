import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** A CA whose pre-loaded certificates are let in at the activation broker. */
@Entity({ schema, name: 'manufacturer' })
export class Manufacturer {
  /** Lower-case hex SHA-256 of the certificate. */
  @PrimaryColumn({ name: 'fingerprint', type: 'varchar', length: 64, primaryKeyConstraintName: 'manufacturer_pk' })
  fingerprint: string;

  @Column({ name: 'name', type: 'varchar', length: 200 })
  name: string;

  /** PEM. */
  @Column({ name: 'certificate', type: 'text' })
  certificate: string;

  @Column({ name: 'registered_at', type: 'timestamptz' })
  registeredAt: Date;
}
