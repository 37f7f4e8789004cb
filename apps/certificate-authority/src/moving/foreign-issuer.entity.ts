import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** CAs of another platform under the same root, which have issued certificates of homes that are here now. */
@Entity({ schema, name: 'foreign_issuer' })
export class ForeignIssuer {
  /** SHA-256 of `chain`. */
  @PrimaryColumn({ name: 'issuer_hash', type: 'bytea', primaryKeyConstraintName: 'foreign_issuer_pk' })
  issuerHash: Buffer;

  /** PEM: from the issuer upwards, without the root. */
  @Column({ type: 'text' })
  chain: string;
}
