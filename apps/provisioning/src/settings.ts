import type { OnboardingStateName } from '@mqtt2go/protocol';
import type { Logger } from 'pino';

/** For calls on the bus while a controller or a device waits, who will ask again rather than wait for long. */
export const whileAsked = { timeoutMs: 3_000, retries: 1 } as const;

/** What the service was started with, for its providers. */
export class ProvisioningSettings {
  constructor(
    readonly log: Logger,
    /** See `ProvisioningDeps`. */
    readonly onPersisted: (state: OnboardingStateName, onboardingId: string) => Promise<void> | void,
  ) {}
}
