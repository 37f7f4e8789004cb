export * from './decide.js';
export * from './principals.js';
export { type AccessRules, type BusRequest, compileRules } from './rules.js';
export { accessControlResponseTopic, accessControlTopic } from './topic-patterns.js';
