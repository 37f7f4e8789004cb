export { AedesBrokerAdmin, type BrokerAdminLink } from './aedes-broker-admin.js';
export { type BrokerLimits, defaultLimits } from './broker-limits.js';
export type { BrokerCounters, BrokerStats } from './broker-stats.js';
export { EmbeddedBroker, type EmbeddedBrokerOptions } from './embedded-broker.js';
export type { ServerIdentity, TlsListenerOptions } from './connections/listeners.js';
export type { Schedule } from './guess-throttle.js';
export type { Log } from './log.js';
export { embeddedSubscriptionNotices } from './subscription-notices.js';
