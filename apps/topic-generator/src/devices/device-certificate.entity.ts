import { Column, Entity, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

/**
 * A certificate that a device may come with, and, once dropped, the memory that it may not: a request
 * that arrives late or twice cannot bring it back. Outlives its device for that reason.
 */
@Entity({ schema, name: 'device_certificate' })
export class DeviceCertificate {
  @PrimaryColumn({ name: 'device_id', type: 'varchar', length: 64, primaryKeyConstraintName: 'device_certificate_pk' })
  deviceId: string;

  /** Upper-case hex. */
  @PrimaryColumn({
    name: 'serial_number',
    type: 'varchar',
    length: 40,
    primaryKeyConstraintName: 'device_certificate_pk',
  })
  serialNumber: string;

  /** The onboarding that it was admitted in; null if it was dropped before anybody admitted it. */
  @Column({ name: 'onboarding_id', type: 'uuid', nullable: true })
  onboardingId: string | null;

  /** Where the device goes once it is named in that onboarding. */
  @Column({ name: 'gateway_id', type: 'varchar', length: 64, nullable: true })
  gatewayId: string | null;

  @Column({ name: 'device_type', type: 'varchar', length: 64, nullable: true })
  deviceType: string | null;

  @Column({ name: 'admitted_at', type: 'timestamptz', nullable: true })
  admittedAt: Date | null;

  /** Since when it is turned away. */
  @Column({ name: 'dropped_at', type: 'timestamptz', nullable: true })
  droppedAt: Date | null;
}
