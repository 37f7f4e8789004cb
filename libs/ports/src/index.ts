export * from './broker-admin/broker-admin.js';
export * from './broker-admin/broker-copy.js';
export * from './broker-admin/fake-broker-admin.js';
export * from './clock/clock.js';
export * from './key-store/fake-key-store.js';
export * from './key-store/key-store.contract.js';
export * from './key-store/key-store.js';
