import { Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';
import { Home } from './home.entity.js';

@Entity({ schema, name: 'gateway' })
export class Gateway {
  @PrimaryColumn({ name: 'home_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'gateway_pk' })
  homeId: string;

  @PrimaryColumn({ name: 'gateway_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'gateway_pk' })
  gatewayId: string;

  @ManyToOne(() => Home, { onDelete: 'RESTRICT' })
  @JoinColumn({ name: 'home_id', foreignKeyConstraintName: 'gateway_home_fk' })
  home?: Home;
}
