import { activationWindowMs } from './deadlines.js';
import type { Effect, Onboarding } from './onboarding.js';
import { type HandOut, ruleOf } from './states.js';

const takeBack: Record<HandOut, (onboarding: Onboarding) => Effect> = {
  certificate: () => ({ kind: 'settle-certificate', outcome: 'abandoned' }),
  admission: () => ({ kind: 'withdraw-device' }),
  announcement: withdrawAnnouncement,
  network: () => ({ kind: 'close-network' }),
};

/** Takes back what was announced, and what may still be on its way to be announced. */
export function withdrawAnnouncement({ requestedAtMs }: Onboarding): Effect {
  return { kind: 'withdraw-announcement', announcedUntilMs: requestedAtMs + activationWindowMs };
}

/** What may be out now, counting steps that were begun and whose end was not stored. */
export function heldBy(onboarding: Onboarding): readonly HandOut[] {
  const mayHold = ruleOf(onboarding.state).mayHold.filter(
    (handOut) => handOut !== 'network' || onboarding.network !== undefined,
  );
  // A restart comes back to `requested` from where the device may have been announced; the csr mode announces from there.
  const early = onboarding.state === 'requested' && (onboarding.keyMode === 'csr' || onboarding.version > 1);
  const announced = early || onboarding.announcedAgain;
  return announced ? [...mayHold, 'announcement'] : mayHold;
}

/** True as long as a network may be open for the device to come in by. */
export function mayComeByNetwork(onboarding: Onboarding): boolean {
  return heldBy(onboarding).includes('network');
}

/** Takes back all that an open onboarding may have handed out. */
export function undoOf(onboarding: Onboarding): readonly Effect[] {
  return heldBy(onboarding).map((handOut) => takeBack[handOut](onboarding));
}
