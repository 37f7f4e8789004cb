export { OpenwrtNetworkJoin } from './openwrt-network-join.js';
export { NetworkJoinOpenwrtPlugin } from './openwrt-plugin.js';
