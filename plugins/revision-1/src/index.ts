export { Revision1Plugin } from './revision-1-plugin.js';
export { Revision1Wire } from './revision-1-wire.js';
