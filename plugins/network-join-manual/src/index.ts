export { ManualNetworkJoin } from './manual-network-join.js';
export { NetworkJoinManualPlugin } from './manual-plugin.js';
