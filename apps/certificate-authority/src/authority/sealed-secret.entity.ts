import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** A secret of the key store, encrypted. */
@Entity({ schema, name: 'sealed_secret' })
export class SealedSecret {
  @PrimaryColumn({ name: 'name', type: 'varchar', length: 200, primaryKeyConstraintName: 'sealed_secret_pk' })
  name: string;

  @Column({ name: 'sealed', type: 'bytea' })
  sealed: Buffer;
}
