import type { Step } from '../onboarding.js';
import { moved, noWay, targetOf, unchanged } from './moving.js';
import { progress } from './replies.js';

/** Step 2, first half: the certificate is issued and the home broker lets it in. */
export const certified: Step<{ kind: 'certified' }> = (onboarding, event, nowMs) => {
  const target = targetOf(onboarding, event.kind);
  if (target === 'repeat') return unchanged(onboarding);
  // In the csr mode there is no key to certify before the device has come.
  if (target === undefined || onboarding.keyMode === 'csr') return noWay(onboarding, event.kind);
  const next = moved(onboarding, target, nowMs, { certified: true });
  return { onboarding: next, effects: [], replies: [progress(next)] };
};
