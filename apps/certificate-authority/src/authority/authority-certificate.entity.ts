import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** The certificate of one of the platform's CAs; its key is in the key store. */
@Entity({ schema, name: 'authority_certificate' })
export class AuthorityCertificate {
  @PrimaryColumn({ name: 'role', type: 'varchar', length: 16, primaryKeyConstraintName: 'authority_certificate_pk' })
  role: string;

  /** PEM. */
  @Column({ name: 'certificate', type: 'text' })
  certificate: string;
}
