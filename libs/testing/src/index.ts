export { Clock, FakeClock } from '@mqtt2go/ports';
export * from './containers/index.js';
export * from './database-cluster.js';
export * from './loggers.js';
export * from './statements.js';
export * from './test-broker.js';
export * from './test-certificates.js';
export * from './test-database.js';
export * from './waiting.js';
