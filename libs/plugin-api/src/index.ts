export * from './revision-wire.js';
