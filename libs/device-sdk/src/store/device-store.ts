import { z } from 'zod';
import type { DeviceIdentity } from './device-identity.js';

/** `factory`: has to be activated. `joined`: has its broker and certificate. `active`: has its topics too. */
export const devicePhase = z.enum(['factory', 'joined', 'active']);
export type DevicePhase = z.infer<typeof devicePhase>;

export const brokerAddress = z.object({ host: z.string().min(1), port: z.int().min(1).max(65_535) });
export type BrokerAddress = z.infer<typeof brokerAddress>;

/** Where a certificate and its key are kept: there is room for the one in use and for the next. */
const slot = z.enum(['operational', 'operational-2']);
export type Slot = z.infer<typeof slot>;
/** Whose key the operational certificate is for: the pre-loaded one, or one of its own. */
const keyKind = z.enum(['pre-loaded', 'operational']);

/** `state.json`: how far the device has come; enough to go on after a power loss at any moment. */
export const deviceState = z.object({
  phase: devicePhase,
  /** The home's broker, from step 7 on. */
  broker: brokerAddress.optional(),
  key: keyKind.optional(),
  slot: slot.default('operational'),
  /**
   * What is to come in the place of the above once it has proved good: another broker, another certificate or both.
   * Until then the device can go back.
   */
  next: z
    .object({
      broker: brokerAddress.optional(),
      /** Left out when the certificate stays. */
      key: keyKind.optional(),
      /** The certificate is from a renewal, and not of a new onboarding. */
      renewal: z.boolean().default(false),
    })
    .optional(),
  /** The certificate came by renewal and works, which the platform has still to be told: it keeps the one before for that. */
  toConfirm: z.boolean().default(false),
  topics: z.array(z.string()).default([]),
  /** What the appliance itself remembers, such as on or off. */
  settings: z.record(z.string(), z.unknown()).default({}),
});
export type DeviceState = z.infer<typeof deviceState>;

/** The operational certificate with its chain, and its key; PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate with its chain; PEM. `key` is missing when it is for the pre-loaded key. */
export interface NewCertificate {
  readonly certificate: string;
  readonly key?: string;
}

/** What was obtained in step 7. */
export interface Joined extends NewCertificate {
  readonly broker: BrokerAddress;
}

/** What may come in the place of what the device has. */
export interface Next {
  readonly broker?: BrokerAddress;
  readonly certificate?: NewCertificate;
  readonly renewal?: boolean;
}

/**
 * The device's permanent memory. Each method is all or nothing: after a power loss in the middle of
 * one, the device finds itself either before or after it.
 */
export abstract class DeviceStore {
  /** @throws Mqtt2goError `configuration_invalid` when something is missing or broken */
  abstract identity(): Promise<DeviceIdentity>;
  /** @throws Mqtt2goError `configuration_invalid` when it cannot be read */
  abstract state(): Promise<DeviceState>;
  /** A key of the device's own, made for a request that may not have been answered yet. */
  abstract pendingKey(): Promise<string | undefined>;
  /** Kept before the request for its certificate leaves, so that a repeated request holds the same key. */
  abstract savePendingKey(key: string): Promise<void>;
  /** Step 7 is done: from now on the device goes to the home's broker. */
  abstract saveJoined(joined: Joined): Promise<void>;
  /** The home has moved before step 12 was done: the broker is another one than that of step 7. */
  abstract saveBroker(broker: BrokerAddress): Promise<void>;
  /** What to show at the home's broker; undefined before step 7. With `next`, what to show there to try what is next. */
  abstract credentials(which?: 'current' | 'next'): Promise<Credentials | undefined>;
  /** Something is to be tried; what was to be tried before is given up. What the device has stays. */
  abstract saveNext(next: Next): Promise<void>;
  /** What was tried has proved good, for the platform has given the device its topics there: it is what counts now. */
  abstract takeNext(topics: readonly string[]): Promise<void>;
  /** What was tried is not good: the device stays with what it has. */
  abstract dropNext(): Promise<void>;
  /** The platform has been told that the renewed certificate works. */
  abstract saveConfirmed(): Promise<void>;
  /** Step 12 is done. */
  abstract saveTopics(topics: readonly string[]): Promise<void>;
  abstract saveSettings(settings: Readonly<Record<string, unknown>>): Promise<void>;
  /** Back to the state of the factory: certificate, key, topics and settings are forgotten. */
  abstract forget(): Promise<void>;
}

/** The slot that is free for the next certificate. */
export function otherSlot(current: Slot): Slot {
  return current === 'operational' ? 'operational-2' : 'operational';
}

/** The state in which {@link DeviceStore.saveJoined} leaves the device, given the slot that it has written to. */
export function joinedState({ broker, key }: Joined, written: Slot): Partial<DeviceState> {
  return {
    phase: 'joined',
    broker: { ...broker },
    key: kindOf(key),
    slot: written,
    next: undefined,
    toConfirm: false,
    topics: [],
  };
}

/** {@link DeviceState.next} of something to be tried. */
export function nextState({ broker, certificate, renewal = false }: Next): DeviceState['next'] {
  return {
    ...(broker === undefined ? {} : { broker: { ...broker } }),
    ...(certificate === undefined ? {} : { key: kindOf(certificate.key) }),
    renewal,
  };
}

/** The state in which {@link DeviceStore.takeNext} leaves the device. */
export function takenState(state: DeviceState, topics: readonly string[]): DeviceState {
  const { next } = state;
  const taken: DeviceState = { ...state, phase: 'active', topics: [...topics], next: undefined };
  if (next?.broker !== undefined) taken.broker = next.broker;
  if (next?.key === undefined) return taken;
  return { ...taken, key: next.key, slot: otherSlot(state.slot), toConfirm: next.renewal };
}

function kindOf(key: string | undefined): z.infer<typeof keyKind> {
  return key === undefined ? 'pre-loaded' : 'operational';
}
