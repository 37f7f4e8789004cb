export * from './open-brokers.js';
