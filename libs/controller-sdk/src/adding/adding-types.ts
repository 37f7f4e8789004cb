import type { JoiningNetwork } from '../wire.js';

/** The steps of the standard's "Setup via WPS with Remote Broker" in which the controller takes part. */
export type ControllerStepNumber = 1 | 2 | 10 | 11;

/** One step of the setup, as it happens. */
export interface ControllerStep {
  readonly kind: 'step';
  readonly step: ControllerStepNumber;
  readonly direction: 'in' | 'out';
  /** What happens, in a few words. */
  readonly what: string;
  readonly topic: string;
  /** The message as it travels: text of a JSON object. */
  readonly message: string;
}

/** How far the platform is with the device; names of onboarding states, and those of a newer platform. */
export interface StateProgress {
  readonly kind: 'state';
  readonly state: string;
  /** From a gateway in the house, as long as the device may come by its network. */
  readonly network?: JoiningNetwork | undefined;
}

export type AddProgress = ControllerStep | StateProgress;

export interface Naming {
  /** 1 to 128 characters that people read. */
  readonly name: string;
  /** At least one; new ones are made. */
  readonly groupIds: readonly string[];
}

/** The device that is there and waits for its name. */
export interface ArrivedDevice {
  readonly deviceId: string;
  /** Missing if the platform does not tell. */
  readonly deviceType: string | undefined;
}

export interface AddDeviceRequest {
  readonly deviceId: string;
  readonly activationCode: string;
  /** From the label, if it says so. */
  readonly deviceType?: string;
  /** Known beforehand, or asked of the person when the device is there. */
  readonly naming: Naming | ((device: ArrivedDevice) => Naming | Promise<Naming>);
  readonly onProgress?: (progress: AddProgress) => void;
  readonly signal?: AbortSignal;
}

export interface AddedDevice extends Naming {
  readonly deviceId: string;
  readonly deviceType: string | undefined;
  /** Where it can be reached; empty if its type is not known. */
  readonly topics: readonly string[];
}
