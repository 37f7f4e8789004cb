import type { Mqtt2goError } from '@mqtt2go/protocol';
import type { DevicePhase } from './store/device-store.js';

/** The steps of the standard's "Setup via WPS with Remote Broker" in which the device acts. */
export type DeviceStepNumber = 3 | 4 | 5 | 6 | 7 | 8 | 9 | 12 | 13;

/** One step of the setup, as it happens. */
export interface DeviceStep {
  readonly step: DeviceStepNumber;
  /** `local`: the device looks or connects; `out` and `in`: a message leaves or arrives. */
  readonly direction: 'local' | 'out' | 'in';
  /** What happens, in a few words: `MQTT2GO.local is not found`. */
  readonly what: string;
  readonly topic?: string;
  /** The message as it travels: text of a JSON object. */
  readonly message?: string;
}

/** Something did not work; the device tries again after `retryInMs`, or has ended if that is missing. */
export interface DeviceProblem {
  readonly error: Mqtt2goError;
  readonly retryInMs?: number;
}

/**
 * What a device does at home to stay there: it looks for its broker again (`looks-again`, `found`), goes to another one
 * (`moving`, then `moved` or `stays`) or gets its next certificate (`renewing`, then `renewed` or `stays`).
 */
export interface DeviceNotice {
  readonly kind: 'looks-again' | 'found' | 'moving' | 'moved' | 'renewing' | 'renewed' | 'stays';
  /** In a few words. */
  readonly what: string;
  readonly direction: 'local' | 'out' | 'in';
  readonly topic?: string;
  /** The message as it travels. */
  readonly message?: string;
}

/** A command that the device obeyed (or refused), and what it answered. */
export interface DeviceCommand {
  readonly topic: string;
  readonly commandType: string;
  readonly value: unknown;
  readonly answer: unknown;
}

/** Events of a device by name, with their arguments. */
export interface DeviceEvents {
  step: [DeviceStep];
  phase: [DevicePhase];
  problem: [DeviceProblem];
  notice: [DeviceNotice];
  /** The device has its topics and is subscribed to all of them. */
  active: [topics: readonly string[]];
  command: [DeviceCommand];
  report: [topic: string, message: string];
}
