import type { Onboarding } from '@mqtt2go/onboarding';
import { isErrorCode, type ReplyPath } from '@mqtt2go/protocol';
import type { OnboardingRow } from './onboarding.entity.js';

/** An onboarding under its columns' names, as JSON that PostgreSQL makes a row of (`jsonb_populate_record`). */
export function toColumns(onboarding: Onboarding) {
  return {
    onboarding_id: onboarding.onboardingId,
    home_id: onboarding.homeId,
    gateway_id: onboarding.gatewayId,
    device_id: onboarding.deviceId,
    device_type: onboarding.deviceType,
    key_mode: onboarding.keyMode,
    network: onboarding.network ?? null,
    activation_code: onboarding.activationCode ?? null,
    request_digest: onboarding.requestDigest,
    state: onboarding.state,
    version: onboarding.version,
    requested_at: new Date(onboarding.requestedAtMs).toISOString(),
    deadline: new Date(onboarding.deadlineMs).toISOString(),
    certified: onboarding.certified,
    announced_again: onboarding.announcedAgain,
    controller_revision: onboarding.controller.revision,
    controller_topic: onboarding.controller.topic,
    controller_broker: onboarding.controller.broker ?? null,
    device_revision: onboarding.device?.revision ?? null,
    device_topic: onboarding.device?.topic ?? null,
    device_broker: onboarding.device?.broker ?? null,
    device_name: onboarding.deviceName ?? null,
    group_ids: onboarding.groupIds,
    topics: onboarding.topics,
    reason: onboarding.reason ?? null,
  } satisfies Record<string, unknown>;
}

type ColumnName = keyof ReturnType<typeof toColumns>;

/** What stays as it was when the onboarding was made. */
const fixed: readonly ColumnName[] = [
  'onboarding_id',
  'home_id',
  'gateway_id',
  'device_id',
  'device_type',
  'key_mode',
  'network',
];
const changing: readonly ColumnName[] = [
  'activation_code',
  'request_digest',
  'state',
  'version',
  'requested_at',
  'deadline',
  'certified',
  'announced_again',
  'controller_revision',
  'controller_topic',
  'controller_broker',
  'device_revision',
  'device_topic',
  'device_broker',
  'device_name',
  'group_ids',
  'topics',
  'reason',
];

export const insertedColumns = [...fixed, ...changing].join(', ');
export const updatedColumns = changing.join(', ');

export function toOnboarding(row: OnboardingRow): Onboarding {
  const { deviceRevision, deviceTopic, reason } = row;
  return {
    onboardingId: row.onboardingId,
    homeId: row.homeId,
    gatewayId: row.gatewayId,
    deviceId: row.deviceId,
    deviceType: row.deviceType,
    keyMode: row.keyMode,
    network: row.network ?? undefined,
    activationCode: row.activationCode ?? undefined,
    requestDigest: row.requestDigest,
    state: row.state,
    version: row.version,
    requestedAtMs: row.requestedAt.getTime(),
    deadlineMs: row.deadline.getTime(),
    certified: row.certified,
    announcedAgain: row.announcedAgain,
    controller: path(row.controllerRevision, row.controllerTopic, row.controllerBroker),
    device:
      deviceRevision === null || deviceTopic === null ? undefined : path(deviceRevision, deviceTopic, row.deviceBroker),
    deviceName: row.deviceName ?? undefined,
    groupIds: row.groupIds,
    topics: row.topics,
    reason: isErrorCode(reason) ? reason : undefined,
  };
}

function path(revision: string, topic: string, broker: string | null): ReplyPath {
  return { revision, topic, ...(broker === null ? {} : { broker }) };
}
