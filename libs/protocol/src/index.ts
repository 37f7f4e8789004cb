export * from './codec.js';
export * from './device-types.js';
export * from './discovery-rest.js';
export * from './errors.js';
export * from './identifiers.js';
export * from './label.js';
export * from './local-broker.js';
export {
  type Direction,
  type Envelope,
  limitsOf,
  type MessageDefinition,
  type ReportType,
  reportTypes,
} from './messages/define.js';
export { deviceCommandTypes } from './messages/device-objects.js';
export { type UserRole, userRole, userRoles } from './messages/users.js';
export { defaultBrokerPort, maxGroups, toGroupIds } from './messages/values.js';
export * from './moving-states.js';
export * from './onboarding-states.js';
export * from './parse-json.js';
export * from './registry.js';
export { readTimestamp, toUnixSeconds } from './timestamp.js';
export * from './topic-filter.js';
export * from './topics.js';
export * from './wire.js';
