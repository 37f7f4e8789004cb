export type { HomeBroker } from './access/home-brokers.js';
export { migrateTopicGenerator, type OpenHomePrincipals, openHomePrincipals } from './access/open-home-principals.js';
export * from './start-topic-generator.js';
