export type { HomeBroker } from './access/home-brokers.js';
export * from './start-topic-generator.js';
