import type { Step } from '../onboarding.js';
import { moved, noWay, targetOf, unchanged } from './moving.js';
import { progress } from './replies.js';

/**
 * Step 6: the device has shown both its certificate and its code to the Discovery server. It may be
 * faster than the news that it is announced, so that the claim is also taken one state early.
 */
export const claimed: Step<{ kind: 'claimed' }> = (onboarding, event, nowMs) => {
  const target = targetOf(onboarding, event.kind);
  if (target === 'repeat') return unchanged(onboarding);
  if (target === undefined) return noWay(onboarding, event.kind);
  const next = moved(onboarding, target, nowMs);
  return { onboarding: next, effects: [], replies: [progress(next)] };
};
