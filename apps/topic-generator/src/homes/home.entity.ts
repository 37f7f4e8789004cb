import type { HomeStandingName } from '@mqtt2go/protocol';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

@Entity({ schema, name: 'home' })
@Index('home_broker_idx', ['broker'])
export class Home {
  @PrimaryColumn({ name: 'home_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'home_pk' })
  homeId: string;

  /** The name of the home broker that it is placed on, for as long as it is here; null until it is placed: then it is on the first. */
  @Column({ name: 'broker', type: 'varchar', length: 64, nullable: true })
  broker: string | null;

  @Column({ name: 'standing', type: 'varchar', length: 16, default: 'here' })
  standing: HomeStandingName;

  /** The move that has brought it to its standing. */
  @Column({ name: 'move_id', type: 'uuid', nullable: true })
  moveId: string | null;

  /** Where its broker is by now, if it has moved away. */
  @Column({ name: 'moved_to_host', type: 'varchar', length: 253, nullable: true })
  movedToHost: string | null;

  @Column({ name: 'moved_to_port', type: 'integer', nullable: true })
  movedToPort: number | null;

  /**
   * Of a home that arrives and was here before, without devices: the user names of those who reach it through its gateway's
   * bridge, if any. Null for all others.
   */
  @Column({ name: 'hosted', type: 'varchar', length: 129, array: true, nullable: true })
  hosted: string[] | null;
}
