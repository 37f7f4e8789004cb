export * from "./links/broker-link.js";
export * from './contracts/index.js';
