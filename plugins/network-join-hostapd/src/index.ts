export { HostapdNetworkJoin } from './hostapd-network-join.js';
export { NetworkJoinHostapdPlugin } from './hostapd-plugin.js';
