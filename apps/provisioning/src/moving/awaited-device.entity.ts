import { Entity, Column, Index, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/** A device of a home that has come here, which itself has not come yet. */
@Entity({ schema, name: 'awaited_device' })
@Index('awaited_device_home_idx', ['homeId', 'deviceId'])
export class AwaitedDevice {
  @PrimaryColumn({ name: 'device_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'awaited_device_pk' })
  deviceId: string;

  @Column({ name: 'home_id', type: 'varchar', length: 64 })
  homeId: string;
}
