import { Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** A move that was undone here: a request of it that was kept by a network until now begins nothing. */
@Entity({ schema, name: 'discarded_move' })
export class DiscardedMove {
  @PrimaryColumn({ name: 'move_id', type: 'uuid', primaryKeyConstraintName: 'discarded_move_pk' })
  moveId: string;
}
