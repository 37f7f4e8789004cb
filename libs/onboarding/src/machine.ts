import { Mqtt2goError } from '@mqtt2go/protocol';
import { isOverdue } from './deadlines.js';
import type { Onboarding, OnboardingEvent, StepResult } from './onboarding.js';
import { ruleOf, type Work } from './states.js';
import { cancel, expire, refuse } from './steps/end.js';
import { restart } from './steps/step-01-activate.js';
import { announced } from './steps/step-02-announce.js';
import { certified } from './steps/step-02-certify.js';
import { claimed } from './steps/step-06-claim.js';
import { deviceArrived } from './steps/step-09-arrive.js';
import { named } from './steps/step-11-name.js';

/**
 * One event on one onboarding: what is to be stored, what follows from it, who is answered what. An
 * overdue onboarding expires before anything else can happen to it, noticed or not. Pure.
 * @param nowMs Unix time in milliseconds
 */
export function advance(onboarding: Onboarding, event: OnboardingEvent, nowMs: number): StepResult {
  if (event.kind !== 'expire' && event.kind !== 'cancel' && isOverdue(onboarding, nowMs)) {
    return { ...expire(onboarding, { kind: 'expire' }, nowMs), refusal: new Mqtt2goError('activation_expired') };
  }
  return step(onboarding, event, nowMs);
}

function step(onboarding: Onboarding, event: OnboardingEvent, nowMs: number): StepResult {
  switch (event.kind) {
    case 'certified':
      return certified(onboarding, event, nowMs);
    case 'announced':
      return announced(onboarding, event, nowMs);
    case 'claimed':
      return claimed(onboarding, event, nowMs);
    case 'device-arrived':
      return deviceArrived(onboarding, event, nowMs);
    case 'named':
      return named(onboarding, event, nowMs);
    case 'restart':
      return restart(onboarding, event, nowMs);
    case 'expire':
      return expire(onboarding, event, nowMs);
    case 'refuse':
      return refuse(onboarding, event, nowMs);
    case 'cancel':
      return cancel(onboarding, event, nowMs);
  }
}

/** The forward step that is owed now. In the `csr` key mode the device brings its key, so that announcing comes first. */
export function workOf(onboarding: Onboarding): Work | undefined {
  return onboarding.state === 'requested' && onboarding.keyMode === 'csr' ? 'announce' : ruleOf(onboarding.state).work;
}
