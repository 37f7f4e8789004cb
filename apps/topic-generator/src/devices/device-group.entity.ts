import { Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';
import { Device } from './device.entity.js';

@Entity({ schema, name: 'device_group' })
export class DeviceGroup {
  @PrimaryColumn({ name: 'device_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'device_group_pk' })
  deviceId: string;

  @PrimaryColumn({ name: 'group_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'device_group_pk' })
  groupId: string;

  @ManyToOne(() => Device, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'device_id', foreignKeyConstraintName: 'device_group_device_fk' })
  device?: Device;
}
