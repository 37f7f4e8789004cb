import { Mqtt2goError, type OnboardingStateName } from '@mqtt2go/protocol';
import { deadlineOf } from '../deadlines.js';
import type { Onboarding, OnboardingEvent, Reply, StepResult } from '../onboarding.js';
import { ruleOf } from '../states.js';

/** Where the table says that this event leads: to a state, to nothing new, or nowhere. */
export function targetOf(
  onboarding: Onboarding,
  event: OnboardingEvent['kind'],
): OnboardingStateName | 'repeat' | undefined {
  const rule = ruleOf(onboarding.state);
  return rule.repeats.includes(event) ? 'repeat' : rule.on[event];
}

/** The onboarding in its next state, with `changes`. The only place that moves one. */
export function moved(
  before: Onboarding,
  state: OnboardingStateName,
  nowMs: number,
  changes: Partial<Onboarding> = {},
): Onboarding {
  const base = { ...before, ...changes, state, version: before.version + 1 };
  return {
    ...base,
    deadlineMs: deadlineOf(state, base, nowMs),
    activationCode: ruleOf(state).open ? base.activationCode : undefined,
  };
}

/** Nothing changes; whoever asked gets `replies`. */
export function unchanged(onboarding: Onboarding, replies: readonly Reply[] = []): StepResult {
  return { onboarding, effects: [], replies };
}

/** Nothing changes, and whoever asked is told why. */
export function refusedTo(onboarding: Onboarding, refusal: Mqtt2goError): StepResult {
  return { onboarding, effects: [], replies: [], refusal };
}

/** The table knows no way for this event; what that means to the asker depends on how the onboarding stands. */
export function noWay(onboarding: Onboarding, event: OnboardingEvent['kind']): StepResult {
  return refusedTo(onboarding, wayMissing(onboarding, event));
}

function wayMissing(onboarding: Onboarding, event: OnboardingEvent['kind']): Mqtt2goError {
  if (onboarding.state === 'expired') return new Mqtt2goError('activation_expired');
  if (onboarding.state === 'refused' || onboarding.state === 'cancelled') return new Mqtt2goError('unknown_onboarding');
  if (onboarding.state === 'requested') {
    return new Mqtt2goError('unavailable', `${event} is too early for an onboarding that was only just requested`);
  }
  return new Mqtt2goError('conflict', `${event} does not fit an onboarding that is ${onboarding.state}`);
}
