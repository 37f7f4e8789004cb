import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** The revocation list that was last made, and how many revocations there have been by then and until now. */
@Entity({ schema, name: 'published_list' })
export class PublishedList {
  /** The CA whose list it is; only `issuing` has one. */
  @PrimaryColumn({ name: 'authority', type: 'varchar', length: 16, primaryKeyConstraintName: 'published_list_pk' })
  authority: string;

  /** Counted up in the transaction of each revocation, which serialises them. */
  @Column({ name: 'revocations', type: 'integer', default: 0 })
  revocations: number;

  @Column({ name: 'published_revocations', type: 'integer', default: 0 })
  publishedRevocations: number;

  /** The CRL number of the list; 0 before the first. */
  @Column({ name: 'number', type: 'integer', default: 0 })
  number: number;

  @Column({ name: 'next_update', type: 'timestamptz', nullable: true })
  nextUpdate: Date | null;

  /** PEM. */
  @Column({ name: 'list', type: 'text', nullable: true })
  list: string | null;
}
