/** Marks handlers of the service bus, so that no other strategy of the same app takes them. */
export const BUS = Symbol('mqtt2go bus');
/** Marks handlers of device-facing traffic. */
export const DEVICES = Symbol('mqtt2go devices');
