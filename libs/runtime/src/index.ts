export { checkHealth, type HealthCheck } from './health.js';
export { createLogger } from './logger.js';
export { createRegistry } from './metrics/metrics.js';
export * from './run-main.js';
export * from './serve-operations.js';
export * from './serve-service.js';
export * from './service-handle.js';
export * from './start-nest-service.js';
export { startTracing } from './tracing/start-tracing.js';
