import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

@Entity({ schema, name: 'home' })
@Index('home_broker_idx', ['broker'])
export class Home {
  @PrimaryColumn({ name: 'home_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'home_pk' })
  homeId: string;

  /** The name of the home broker that it is placed on, for good; null until it is placed: then it is on the first. */
  @Column({ name: 'broker', type: 'varchar', length: 64, nullable: true })
  broker: string | null;
}
