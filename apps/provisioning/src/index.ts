export type { DiscoveryAccess } from './announcing/discovery-client.js';
export { migrateProvisioning } from './migrate-provisioning.js';
export type { HomeBroker, HomeBrokerAddress } from './traffic/home-brokers.js';
export * from './start-provisioning.js';
