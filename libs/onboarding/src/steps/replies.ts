import type { ReplyPath } from '@mqtt2go/protocol';
import type { Onboarding, Reply } from '../onboarding.js';

/** The state, for controllers that show progress. */
export function progress(onboarding: Onboarding, to: ReplyPath = onboarding.controller): Reply {
  return { to, message: { kind: 'onboarding-progress', deviceId: onboarding.deviceId, state: onboarding.state } };
}

/** Step 10: the controller is asked for name and group. */
export function renameRequested(onboarding: Onboarding, to: ReplyPath = onboarding.controller): Reply {
  return {
    to,
    message: { kind: 'rename-requested', deviceId: onboarding.deviceId, deviceType: onboarding.deviceType },
  };
}

/** Step 12: the device is told its topics. */
export function deviceTopics(onboarding: Onboarding, to: ReplyPath): Reply {
  return { to, message: { kind: 'device-topics', topics: onboarding.topics } };
}

/** How things stand, for a controller that asks for the same again. */
export function standing(onboarding: Onboarding, to: ReplyPath): readonly Reply[] {
  const state = progress(onboarding, to);
  return onboarding.state === 'awaiting-name' ? [state, renameRequested(onboarding, to)] : [state];
}
