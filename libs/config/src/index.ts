export * from './broker-settings.js';
export * from './brokers.js';
export { decodeKey } from './encryption-key.js';
export * from './deployment-config.js';
export * from './load-config.js';
export * from './profiles/index.js';
export type { Environment } from './settings.js';
export * from './platform-file.js';
export * from './service-files.js';
