export { type FleetOptions, type FleetReport, runFleet } from './device/fleet.js';
export { defaultManufacturerDir, openManufacturer, registerManufacturer } from './factory/manufacturer.js';
export {
  makeActivationCode,
  type MintedDevice,
  mintDevice,
  type MintRequest,
  recordDevices,
} from './factory/minted-device.js';
export { openOperator, type Operator } from './platform/operator.js';
export { runProgram } from './run.js';
export type { Surroundings } from './terminal/context.js';
