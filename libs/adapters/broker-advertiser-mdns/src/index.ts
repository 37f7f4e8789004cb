export { MdnsBrokerAdvertiser, type MdnsAdvertiserOptions } from './mdns-broker-advertiser.js';
