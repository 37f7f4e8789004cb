export type { DiscoveryAccess } from './announcing/discovery-client.js';
export type { HomeBrokerAddress } from './settings.js';
export * from './start-provisioning.js';
