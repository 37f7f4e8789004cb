import type { OnboardingStateName } from '@mqtt2go/protocol';
import type { Onboarding } from './onboarding.js';
import { ruleOf } from './states.js';

const minuteMs = 60_000;

/** The standard's 15 minutes, from the request to the device's first connection at its home's broker. */
export const activationWindowMs = 15 * minuteMs;

/** How long a device that has arrived waits for the person to name it. */
export const namingWindowMs = 24 * 60 * minuteMs;

/** A request that comes again within this time is taken for the same one, delivered twice. */
export const redeliveryMs = 5_000;

/** The deadline of an onboarding that is put in `state` now; an ended one keeps the one it had. */
export function deadlineOf(state: OnboardingStateName, before: Onboarding, nowMs: number): number {
  switch (ruleOf(state).window) {
    case 'activation':
      return before.requestedAtMs + activationWindowMs;
    case 'naming':
      return nowMs + namingWindowMs;
    default:
      return before.deadlineMs;
  }
}

/** True for an open onboarding whose time is up, whether or not that has been noticed. */
export function isOverdue(onboarding: Onboarding, nowMs: number): boolean {
  return ruleOf(onboarding.state).open && nowMs >= onboarding.deadlineMs;
}
