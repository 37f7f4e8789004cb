export { migrateDiscovery, type OpenActivations, openActivations } from './activation/open-activations.js';
export * from './start-discovery.js';
