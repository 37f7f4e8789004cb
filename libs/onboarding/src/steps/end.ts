import { Mqtt2goError } from '@mqtt2go/protocol';
import { isOverdue } from '../deadlines.js';
import type { Onboarding, Refuse, Reply, Step, StepResult } from '../onboarding.js';
import { ruleOf } from '../states.js';
import { undoOf } from '../undo.js';
import { moved, unchanged } from './moving.js';
import { progress } from './replies.js';

/** Its time is up. Before that, nothing happens: the window may have been restarted since somebody looked. */
export const expire: Step<{ kind: 'expire' }> = (onboarding, _event, nowMs) =>
  isOverdue(onboarding, nowMs)
    ? end(onboarding, 'expired', new Mqtt2goError('activation_expired'), nowMs)
    : unchanged(onboarding);

/** A step was refused in a way that asking again does not change. */
export const refuse: Step<Refuse> = (onboarding, event, nowMs) => end(onboarding, 'refused', event.error, nowMs);

/** The operator stops it. */
export const cancel: Step<{ kind: 'cancel' }> = (onboarding, _event, nowMs) =>
  end(onboarding, 'cancelled', undefined, nowMs);

function end(
  onboarding: Onboarding,
  state: 'expired' | 'refused' | 'cancelled',
  error: Mqtt2goError | undefined,
  nowMs: number,
): StepResult {
  if (!ruleOf(onboarding.state).open) return unchanged(onboarding);
  const ended = moved(onboarding, state, nowMs, { reason: error?.code, announcedAgain: false });
  const report: readonly Reply[] = error
    ? [{ to: onboarding.controller, message: { kind: 'command-refused', command: 'activate-device', error } }]
    : [];
  return { onboarding: ended, effects: undoOf(onboarding), replies: [progress(ended), ...report] };
}
