export * from './controller-username.js';
export * from './decide.js';
export {
  accessControlResponseTopic,
  accessControlTopic,
  type BusRequest,
  type Grants,
  grantsOf,
  subscriptionNoticesTopic,
} from './grants.js';
export * from './principals.js';
export { type AccessRules, bridgeRules, compileRules } from './rules.js';
