import type { ActivateDeviceRequest } from '@mqtt2go/protocol';

/** Tells whoever speaks with devices on the activation broker which of them will come. The profile chooses the way. */
export abstract class Announcer {
  /**
   * Lets a device come; the same announcement may be made again.
   * @throws Mqtt2goError the code that it is refused with; unavailable, timeout; internal
   */
  abstract announce(device: ActivateDeviceRequest): Promise<void>;

  /**
   * Takes it back, in one try: the outbox tries again. One that is not there is fine. Same errors.
   * @param announcedUntilMs the latest end that was announced: what is still on its way does nothing any more
   */
  abstract withdraw(deviceId: string, onboardingId: string, announcedUntilMs?: number): Promise<void>;

  /** Comes with another certificate (PEM, with its chain) from now on, where it comes with one. */
  async useIdentity(_identity: { readonly cert: string; readonly key: string }): Promise<void> {}
}
