export * from './local-addresses.js';
export * from './local-broker-lookup.js';
export * from './log.js';
export * from './messages.js';
export * from './multicast-link.js';
export { FoundGateways, type FoundGateway, type MdnsQuestion } from './found-gateways.js';
