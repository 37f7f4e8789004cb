import { AsyncLocalStorage } from 'node:async_hooks';

interface WorkContext {
  readonly onboardingId?: string | undefined;
  readonly caller?: string | undefined;
}

const context = new AsyncLocalStorage<WorkContext>();

/** The onboarding that the running code works for, if any; bus calls carry it on by themselves. */
export function currentOnboardingId(): string | undefined {
  return context.getStore()?.onboardingId;
}

/** Runs `work` for an onboarding: its id is on every log line and bus call made within, awaited ones included. */
export function withOnboarding<T>(onboardingId: string | undefined, work: () => T): T {
  return context.run({ ...context.getStore(), onboardingId }, work);
}

/** The service that has asked for the running work over the bus, by its own account; for the audit log. */
export function currentCaller(): string | undefined {
  return context.getStore()?.caller;
}

/** Runs `work` as asked for by `caller`. */
export function withCaller<T>(caller: string | undefined, work: () => T): T {
  return context.run({ ...context.getStore(), caller }, work);
}

/** For pino's `mixin`: `onboardingId` on each line that is written while one is worked for. */
export function onboardingLogFields(): { onboardingId?: string } {
  const onboardingId = currentOnboardingId();
  return onboardingId === undefined ? {} : { onboardingId };
}
