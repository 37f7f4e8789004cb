/** A RabbitMQ cluster in containers, for tests of others. */
export * from './testing/clients.js';
export * from './testing/rabbitmq-cluster.js';
export * from './testing/test-pki.js';
