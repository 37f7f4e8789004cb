import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { Gateway } from '../homes/gateway.entity.js';
import { schema } from '../schema.js';

/** A device that belongs to a home, or is being added to it. */
@Entity({ schema, name: 'device' })
@Index('device_gateway_idx', ['homeId', 'gatewayId'])
export class Device {
  @PrimaryColumn({ name: 'device_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'device_pk' })
  deviceId: string;

  @Column({ name: 'home_id', type: 'varchar', length: 64 })
  homeId: string;

  @Column({ name: 'gateway_id', type: 'varchar', length: 64 })
  gatewayId: string;

  @Column({ name: 'device_type', type: 'varchar', length: 64 })
  deviceType: string;

  /** The newest onboarding that was admitted and has not been named yet. */
  @Column({ name: 'pending_onboarding_id', type: 'uuid', nullable: true })
  pendingOnboardingId: string | null;

  /** The onboarding in which the device got its name; null until it has one. */
  @Column({ name: 'named_onboarding_id', type: 'uuid', nullable: true })
  namedOnboardingId: string | null;

  @ManyToOne(() => Gateway, { onDelete: 'RESTRICT' })
  @JoinColumn([
    { name: 'home_id', referencedColumnName: 'homeId', foreignKeyConstraintName: 'device_gateway_fk' },
    { name: 'gateway_id', referencedColumnName: 'gatewayId', foreignKeyConstraintName: 'device_gateway_fk' },
  ])
  gateway?: Gateway;
}
