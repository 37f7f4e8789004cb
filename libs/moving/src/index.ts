export { movingTables } from './document.js';
export * from './moves.js';
export * from './standings.js';
