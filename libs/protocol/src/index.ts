export * from './discovery-rest.js';
export * from './errors.js';
export * from './identifiers.js';
export * from './onboarding-states.js';
export * from './wire.js';
