import { z } from 'zod';
import type { DeviceIdentity } from './device-identity.js';

/** `factory`: has to be activated. `joined`: has its broker and certificate. `active`: has its topics too. */
export const devicePhase = z.enum(['factory', 'joined', 'active']);
export type DevicePhase = z.infer<typeof devicePhase>;

/** `state.json`: how far the device has come; enough to go on after a power loss at any moment. */
export const deviceState = z.object({
  phase: devicePhase,
  /** The home's broker, from step 7 on. */
  broker: z.object({ host: z.string().min(1), port: z.int().min(1).max(65_535) }).optional(),
  /** Whose key the operational certificate is for: the pre-loaded one, or one of its own. */
  key: z.enum(['pre-loaded', 'operational']).optional(),
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

/** What was obtained in step 7. `key` is missing when the certificate is for the pre-loaded key. */
export interface Joined {
  readonly broker: { readonly host: string; readonly port: number };
  readonly certificate: string;
  readonly key?: string;
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
  /** What to show at the home's broker; undefined before step 7. */
  abstract credentials(): Promise<Credentials | undefined>;
  /** Step 12 is done. */
  abstract saveTopics(topics: readonly string[]): Promise<void>;
  abstract saveSettings(settings: Readonly<Record<string, unknown>>): Promise<void>;
  /** Back to the state of the factory: certificate, key, topics and settings are forgotten. */
  abstract forget(): Promise<void>;
}
