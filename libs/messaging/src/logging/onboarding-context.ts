import { AsyncLocalStorage } from 'node:async_hooks';

const onboarding = new AsyncLocalStorage<string | undefined>();

/** The onboarding that the running code works for, if any; bus calls carry it on by themselves. */
export function currentOnboardingId(): string | undefined {
  return onboarding.getStore();
}

/** Runs `work` for an onboarding: its id is on every log line and bus call made within, awaited ones included. */
export function withOnboarding<T>(onboardingId: string | undefined, work: () => T): T {
  return onboarding.run(onboardingId, work);
}

/** For pino's `mixin`: `onboardingId` on each line that is written while one is worked for. */
export function onboardingLogFields(): { onboardingId?: string } {
  const onboardingId = onboarding.getStore();
  return onboardingId === undefined ? {} : { onboardingId };
}
