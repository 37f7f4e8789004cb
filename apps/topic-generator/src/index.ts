export * from './start-topic-generator.js';
