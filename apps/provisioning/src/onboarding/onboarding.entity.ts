import type { KeyMode, NetworkMethod, OnboardingStateName } from '@mqtt2go/protocol';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { schema } from '../schema.js';

// Spelled out in each index and query alike, or PostgreSQL does not see that they match. A spec holds them to the machine.
export const openSql = "state IN ('requested', 'certified', 'announced', 'claimed', 'awaiting-name')";
export const owedSql = "state IN ('requested', 'certified')";
/** On the way to the home's broker. */
export const onTheWaySql = "state IN ('requested', 'certified', 'announced', 'claimed')";
/** At the home's broker, with a name or without one yet. */
export const atHomeSql = "state IN ('awaiting-name', 'active')";
export const presentSql = "state IN ('requested', 'certified', 'announced', 'claimed', 'awaiting-name', 'active')";

/** The names of the unique indexes, by which a refused insert tells why. */
export const uniqueIndexes = {
  gateway: 'onboarding_open_gateway_uq',
  activationCode: 'onboarding_open_activation_code_uq',
  device: 'onboarding_open_device_uq',
} as const;

/** One device's way into a home; see `Onboarding` in libs/onboarding for what the columns mean. */
@Entity({ schema, name: 'onboarding' })
@Index(uniqueIndexes.gateway, ['homeId', 'gatewayId'], { unique: true, where: openSql })
@Index(uniqueIndexes.activationCode, ['activationCode'], { unique: true, where: 'activation_code IS NOT NULL' })
@Index(uniqueIndexes.device, ['deviceId'], { unique: true, where: openSql })
@Index('onboarding_home_idx', ['homeId', 'deviceId'], { where: presentSql })
@Index('onboarding_device_idx', ['deviceId', 'sequence'])
@Index('onboarding_deadline_idx', ['deadline'], { where: openSql })
@Index('onboarding_owed_idx', ['leaseUntil'], { where: owedSql })
@Index('onboarding_ended_idx', ['changedAt'], { where: "state IN ('expired', 'refused', 'cancelled')" })
export class OnboardingRow {
  @PrimaryColumn({ name: 'onboarding_id', type: 'uuid', primaryKeyConstraintName: 'onboarding_pk' })
  onboardingId: string;

  /** Later ones have higher numbers; a bigint, which TypeORM gives as a string. */
  @Column({ type: 'bigint', generated: 'identity', generatedIdentity: 'ALWAYS' })
  sequence: string;

  @Column({ name: 'home_id', type: 'varchar', length: 64 })
  homeId: string;

  @Column({ name: 'gateway_id', type: 'varchar', length: 64 })
  gatewayId: string;

  @Column({ name: 'device_id', type: 'varchar', length: 64 })
  deviceId: string;

  @Column({ name: 'device_type', type: 'varchar', length: 64 })
  deviceType: string;

  @Column({ name: 'key_mode', type: 'varchar', length: 16 })
  keyMode: KeyMode;

  /** Null where there is no gateway in the house that could open a network. */
  @Column({ type: 'varchar', length: 16, nullable: true })
  network: NetworkMethod | null;

  /** The hand-out of the home's Wi-Fi, and the request (by its time) in whose activation it was made. */
  @Column({ name: 'wifi_hand_out', type: 'uuid', nullable: true })
  wifiHandOut: string | null;

  @Column({ name: 'wifi_handed_out_for', type: 'timestamptz', precision: 3, nullable: true })
  wifiHandedOutFor: Date | null;

  /** Null once ended. */
  @Column({ name: 'activation_code', type: 'varchar', length: 64, nullable: true })
  activationCode: string | null;

  @Column({ name: 'request_digest', type: 'varchar', length: 64 })
  requestDigest: string;

  @Column({ type: 'varchar', length: 16 })
  state: OnboardingStateName;

  @Column({ type: 'integer' })
  version: number;

  @Column({ name: 'requested_at', type: 'timestamptz', precision: 3 })
  requestedAt: Date;

  @Column({ type: 'timestamptz', precision: 3 })
  deadline: Date;

  @Column({ type: 'boolean' })
  certified: boolean;

  @Column({ name: 'announced_again', type: 'boolean' })
  announcedAgain: boolean;

  @Column({ name: 'controller_revision', type: 'varchar', length: 16 })
  controllerRevision: string;

  @Column({ name: 'controller_topic', type: 'varchar', length: 256 })
  controllerTopic: string;

  /** Of the home brokers; null for the first one. */
  @Column({ name: 'controller_broker', type: 'varchar', length: 64, nullable: true })
  controllerBroker: string | null;

  @Column({ name: 'device_broker', type: 'varchar', length: 64, nullable: true })
  deviceBroker: string | null;

  @Column({ name: 'device_revision', type: 'varchar', length: 16, nullable: true })
  deviceRevision: string | null;

  @Column({ name: 'device_topic', type: 'varchar', length: 256, nullable: true })
  deviceTopic: string | null;

  @Column({ name: 'device_name', type: 'varchar', length: 64, nullable: true })
  deviceName: string | null;

  @Column({ name: 'group_ids', type: 'text', array: true })
  groupIds: string[];

  @Column({ type: 'text', array: true })
  topics: string[];

  @Column({ type: 'varchar', length: 64, nullable: true })
  reason: string | null;

  /** Failed attempts at the step that is owed. */
  @Column({ type: 'integer', default: 0 })
  attempts: number;

  /** Until when nobody else takes up the step that is owed; by the database's clock, which all replicas share. */
  @Column({ name: 'lease_until', type: 'timestamptz' })
  leaseUntil: Date;

  @Column({ name: 'changed_at', type: 'timestamptz', precision: 3 })
  changedAt: Date;
}
