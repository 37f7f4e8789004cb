import type { LookupFunction } from 'node:net';
import type { Appliance } from '../appliance/appliance.js';
import type { BrokerFinder } from '../broker-finder.js';
import type { DeviceClock } from '../clock.js';
import type { DeviceCommand, DeviceNotice, DeviceProblem, DeviceStep } from '../device-events.js';
import type { BackOff } from '../retrying.js';
import type { DeviceIdentity } from '../store/device-identity.js';
import type { DeviceStore } from '../store/device-store.js';

export interface HomeDeps {
  readonly store: DeviceStore;
  readonly identity: DeviceIdentity;
  readonly finder: BrokerFinder;
  readonly appliance: Appliance;
  readonly clock: DeviceClock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly backOff: BackOff;
  readonly connectTimeoutMs: number;
  readonly lookup: LookupFunction | undefined;
  /** How long a broker that is tried may take to serve the device its topics, or to answer otherwise. */
  readonly answerTimeoutMs: number;
  /** How often it asks for its topics as long as it has none. */
  readonly askAgainMs: number;
  readonly reportEveryMs: number;
  /** After a renewal that came to nothing. */
  readonly renewAgainMs: number;
  /** So many refused connections in a row, without topics, mean that the activation has been taken back. */
  readonly refusalsBeforeRejoin: number;
  /** So many times in vain at the broker that it knows, and it looks for its home elsewhere. */
  readonly missesBeforeLooking: number;
  /** So many times in vain at the broker that its home is said to have moved to, and it stays where it is served. */
  readonly triesOfNext: number;
  readonly onStep: (step: DeviceStep) => void;
  readonly onProblem: (problem: DeviceProblem) => void;
  readonly onNotice: (notice: DeviceNotice) => void;
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

/** Within a quarter of `ms` to either side, so that a fleet does not speak in chorus. */
export function jittered(ms: number, random: () => number): number {
  return ms * (0.75 + random() / 2);
}
