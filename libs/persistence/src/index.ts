export * from './data-source.js';
export { errorCode } from './error-code.js';
export * from './outbox/outbox.js';
export * from './outbox/outbox-message.js';
export * from './persistence.module.js';
export * from './process-locks.js';
export * from './unique-violation.js';
