import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Step } from '../onboarding.js';
import { moved, noWay, refusedTo, targetOf, unchanged } from './moving.js';
import { progress } from './replies.js';

/**
 * Step 6: the device has shown both its certificate and its code to the Discovery server. It may be
 * faster than the news that it is announced, so that the claim is also taken one state early. In the
 * csr mode the certificate has been issued in the claim.
 */
export const claimed: Step<{ kind: 'claimed' }> = (onboarding, event, nowMs) => {
  const target = targetOf(onboarding, event.kind);
  if (target === 'repeat') return unchanged(onboarding);
  if (target === undefined) {
    return onboarding.state === 'expired'
      ? noWay(onboarding, event.kind)
      : refusedTo(onboarding, new Mqtt2goError('unknown_onboarding'));
  }
  // Without a certificate of this onboarding there is nothing that the device could have been offered.
  if (!onboarding.certified && onboarding.keyMode !== 'csr') return noWay(onboarding, event.kind);
  const next = moved(onboarding, target, nowMs, { certified: true });
  return { onboarding: next, effects: [], replies: [progress(next)] };
};
