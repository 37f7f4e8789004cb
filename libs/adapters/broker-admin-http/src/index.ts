export { defaultPasswordLimits, type PasswordLimits } from './copy/password-desk.js';
export type { AnswerStats } from './endpoint/answer-times.js';
export type { EndpointOptions } from './endpoint/auth-endpoint.js';
export * from './http-broker-admin.js';
export type { Log } from './log.js';
export * from './rabbitmq/rabbitmq-files.js';
export type { ManagementOptions } from './sessions/management-api.js';
