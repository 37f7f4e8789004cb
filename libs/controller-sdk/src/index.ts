export * from './adding/adding-types.js';
export type { HomeConnectionOptions } from './connection/home-connection.js';
export * from './controller.js';
export type { DeviceReport } from './wire.js';
export type { JoiningNetwork } from './wire.js';
