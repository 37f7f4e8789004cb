/** Contract suites of the ports, for adapters' tests only: they import vitest. */
export * from './broker-advertiser/broker-advertiser.contract.js';
export * from './broker-admin/broker-admin.contract.js';
export * from './network-join/network-join.contract.js';
