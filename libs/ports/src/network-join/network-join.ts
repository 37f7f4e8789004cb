import type { SecretText } from './secret-text.js';

/**
 * How a new device comes into the Wi-Fi. `wps`: by a push button, the window is at most two minutes. `guest`: by a
 * network that is there for this activation only. `manual`: a person types the home's own network into the device.
 */
export const networkJoinMethods = ['wps', 'guest', 'manual'] as const;
export type NetworkJoinMethod = (typeof networkJoinMethods)[number];

export interface NetworkJoinRequest {
  /** 1 to 64 of A-Z a-z 0-9 _ - . */
  readonly activationId: string;
  readonly method: NetworkJoinMethod;
  /** Unix time in milliseconds. An adapter may close earlier, and never closes later than 15 minutes from now. */
  readonly deadline: number;
  /** For `guest`. 1 to 31 bytes in UTF-8 without control characters; the adapter's own (`MQTT2GO`) by default. */
  readonly ssid?: string;
  /**
   * For `guest`. 8 to 63 printable ASCII characters; a fresh random one by default. Rev 1.x has the activation code
   * here, as a device has no other way to know it.
   */
  readonly passphrase?: SecretText;
}

/** What the person, or the controller for them, has to be told. */
export interface NetworkJoinAnswer {
  readonly method: NetworkJoinMethod;
  /** Unix time in milliseconds after which nobody gets in. */
  readonly closesAt: number;
  /** What to do, in a sentence or two of English. Without passwords. */
  readonly instructions: string;
  /** With `guest`, and only then. */
  readonly network?: { readonly ssid: string; readonly passphrase: SecretText };
}

export type NetworkJoinClosedBecause =
  /** {@link NetworkJoin.close} or {@link NetworkJoin.stop} was called. */
  | 'asked'
  | 'deadline'
  /** A device got its credentials by WPS; there is nothing to keep open. */
  | 'success'
  /** WPS ended without a device: its own time is over, or two devices were pressed at once. */
  | 'wps-ended'
  /** The access point went away under it. */
  | 'lost';

export type NetworkJoinEvent = { readonly activationId: string } & (
  | { readonly kind: 'station-joined'; readonly mac: string }
  | { readonly kind: 'wps-succeeded'; readonly mac?: string }
  | { readonly kind: 'wps-failed' | 'wps-timed-out' | 'wps-overlap' }
  | { readonly kind: 'closed'; readonly because: NetworkJoinClosedBecause }
);

/**
 * Lets a new device into the home's Wi-Fi for the life of one activation, and no longer: what is open is closed on
 * {@link close}, at the deadline, on {@link stop}, and on the next {@link start} after a crash.
 */
export abstract class NetworkJoin {
  /** What it can do as it is configured; known after {@link start}. */
  abstract readonly methods: readonly NetworkJoinMethod[];

  /**
   * Closes whatever a former process left open. Resolves even if that cannot be done now; it is then tried again and
   * again, and {@link open} is refused until it is done.
   * @throws Mqtt2goError `configuration_invalid`
   */
  abstract start(): Promise<void>;

  /** Closes what is open. Never rejects. */
  abstract stop(): Promise<void>;

  /**
   * Asked again for the same activation and method, it gives the same answer.
   * @throws Mqtt2goError `malformed_message`, `invalid_identifier` for a request of a wrong form,
   *   `conflict` if it cannot do the method or does another for this activation,
   *   `another_device_is_being_added` where the technique allows one at a time,
   *   `activation_expired`, `unavailable` or `timeout` when the access point does not answer (nothing is open then, or
   *   is being closed), `forbidden`, `server_untrusted`
   */
  abstract open(request: NetworkJoinRequest): Promise<NetworkJoinAnswer>;

  /**
   * Closes what was opened for the activation; any other id is fine.
   * @throws Mqtt2goError `unavailable`, `timeout` if the access point does not confirm; it is tried again until it does
   */
  abstract close(activationId: string): Promise<void>;

  /** Calls the listener with each event from now on. Returns the way to stop that. */
  abstract onEvent(listener: (event: NetworkJoinEvent) => void): () => void;
}
