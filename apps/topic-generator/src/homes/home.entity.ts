import { Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

@Entity({ schema, name: 'home' })
export class Home {
  @PrimaryColumn({ name: 'home_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'home_pk' })
  homeId: string;
}
