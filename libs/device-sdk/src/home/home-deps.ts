import type { LookupFunction } from 'node:net';
import type { Appliance } from '../appliance/appliance.js';
import type { DeviceCommand, DeviceProblem, DeviceStep } from '../device-events.js';
import type { BackOff } from '../retrying.js';
import type { DeviceIdentity } from '../store/device-identity.js';
import type { DeviceStore } from '../store/device-store.js';

export interface HomeDeps {
  readonly store: DeviceStore;
  readonly identity: DeviceIdentity;
  readonly appliance: Appliance;
  readonly now: () => number;
  readonly backOff: BackOff;
  readonly connectTimeoutMs: number;
  readonly lookup: LookupFunction | undefined;
  /** How often it asks for its topics as long as it has none. */
  readonly askAgainMs: number;
  readonly reportEveryMs: number;
  /** So many refused connections in a row, without topics, mean that the activation has been taken back. */
  readonly refusalsBeforeRejoin: number;
  readonly onStep: (step: DeviceStep) => void;
  readonly onProblem: (problem: DeviceProblem) => void;
  readonly onActive: (topics: readonly string[]) => void;
  readonly onCommand: (command: DeviceCommand) => void;
  readonly onReport: (topic: string, message: string) => void;
}

/**
 * The activation has been taken back (its 15 minutes are over, or it was cancelled), so that the
 * operational certificate is worth nothing any more: the device has to be added anew.
 */
export class ActivationTakenBack extends Error {
  override readonly name = 'ActivationTakenBack';
}
