import { Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';
import { Home } from './home.entity.js';

/** A group that a home has, with devices in it or not. */
@Entity({ schema, name: 'home_group' })
export class HomeGroup {
  @PrimaryColumn({ name: 'home_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'home_group_pk' })
  homeId: string;

  @PrimaryColumn({ name: 'group_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'home_group_pk' })
  groupId: string;

  @ManyToOne(() => Home, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'home_id', foreignKeyConstraintName: 'home_group_home_fk' })
  home?: Home;
}
