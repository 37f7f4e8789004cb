export * from './decide.js';
export * from './device-types.js';
export * from './principals.js';
export { type AccessRules, type BusRequest, compileRules } from './rules.js';
export { covers, type Levels, matches, parseFilter, parseTopic } from './topic-filter.js';
export { accessControlResponseTopic, accessControlTopic } from './topic-patterns.js';
