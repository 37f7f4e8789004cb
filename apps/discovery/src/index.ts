export * from './start-discovery.js';
