export * from './platform-file.js';
