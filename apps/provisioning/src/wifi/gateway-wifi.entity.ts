import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** The Wi-Fi of the home that a gateway stands in. */
@Entity({ schema, name: 'gateway_wifi' })
export class GatewayWifi {
  @PrimaryColumn({ name: 'home_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'gateway_wifi_pk' })
  homeId: string;

  @PrimaryColumn({ name: 'gateway_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'gateway_wifi_pk' })
  gatewayId: string;

  /** Name and password, encrypted. */
  @Column({ type: 'bytea' })
  sealed: Buffer;

  @Column({ name: 'set_at', type: 'timestamptz', precision: 3 })
  setAt: Date;
}
