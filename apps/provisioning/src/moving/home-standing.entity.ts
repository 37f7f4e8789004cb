import type { HomeStandingName } from '@mqtt2go/protocol';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** A home that moves, or has moved, between platforms; one that never did has no row and is here. */
@Entity({ schema, name: 'home_standing' })
@Index('home_standing_changed_idx', ['changedAt'])
export class HomeStandingRow {
  @PrimaryColumn({ name: 'home_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'home_standing_pk' })
  homeId: string;

  @Column({ type: 'varchar', length: 16 })
  standing: HomeStandingName;

  @Column({ name: 'move_id', type: 'uuid' })
  moveId: string;

  @Column({ name: 'moved_to_host', type: 'varchar', length: 253, nullable: true })
  movedToHost: string | null;

  @Column({ name: 'moved_to_port', type: 'integer', nullable: true })
  movedToPort: number | null;

  @Column({ name: 'changed_at', type: 'timestamptz', default: () => 'clock_timestamp()' })
  changedAt: Date;
}
