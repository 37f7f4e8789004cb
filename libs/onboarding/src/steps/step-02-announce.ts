import type { Step } from '../onboarding.js';
import { moved, noWay, targetOf, unchanged } from './moving.js';
import { progress } from './replies.js';

/** Step 2, second half: the Discovery server has the device among those that wait. */
export const announced: Step<{ kind: 'announced' }> = (onboarding, event, nowMs) => {
  const target = targetOf(onboarding, event.kind);
  if (target === 'repeat') return unchanged(onboarding);
  if (target === undefined || (onboarding.state === 'requested' && onboarding.keyMode !== 'csr')) {
    return noWay(onboarding, event.kind);
  }
  const next = moved(onboarding, target, nowMs);
  return { onboarding: next, effects: [], replies: [progress(next)] };
};
