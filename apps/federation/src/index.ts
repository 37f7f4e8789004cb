export { enrolmentBy } from './enrolment.js';
export { CloudLink, type LinkCallOptions } from './link/cloud-link.js';
export { type GatewayCaller, type LinkContract, linkContract } from './link/contract.js';
export { migrateFederation } from './migrate-federation.js';
export type { MoverTimes } from './moving/mover-settings.js';
export * from './start-federation.js';
