import { Mqtt2goError } from '@mqtt2go/protocol';
import { activationWindowMs, isOverdue, redeliveryMs } from '../deadlines.js';
import type { ActivationRequest, Onboarding, Reply, Restart, Step, StepResult } from '../onboarding.js';
import { ruleOf } from '../states.js';
import { cancel, expire } from './end.js';
import { moved, noWay, targetOf, unchanged } from './moving.js';
import { progress, standing } from './replies.js';

/** What a request comes to, given the newest onboarding of the device. */
export type Activation =
  /** A new onboarding; `before` is the end of the earlier one and is stored with it. */
  | {
      readonly kind: 'start';
      readonly onboarding: Onboarding;
      readonly replies: readonly Reply[];
      readonly before?: StepResult;
    }
  /** The one there is goes on: a restarted window, or nothing new. */
  | { readonly kind: 'go-on'; readonly result: StepResult }
  | { readonly kind: 'refused'; readonly error: Mqtt2goError };

/**
 * Step 1: the controller asks for a device. That no other device is being added at the gateway and
 * that the code is free is for the store to say, where two requests at once cannot both be right.
 */
export function activate(newest: Onboarding | undefined, request: ActivationRequest, nowMs: number): Activation {
  if (!newest) return start(request, nowMs);
  if (!ruleOf(newest.state).open) {
    return isRedelivery(newest, request, nowMs)
      ? { kind: 'go-on', result: unchanged(newest, [progress(newest, request.reply)]) }
      : start(request, nowMs);
  }
  if (isOverdue(newest, nowMs)) return start(request, nowMs, expire(newest, { kind: 'expire' }, nowMs));
  if (newest.homeId !== request.homeId || newest.gatewayId !== request.gatewayId) {
    return { kind: 'refused', error: new Mqtt2goError('conflict', 'The device is being added at another gateway.') };
  }
  if (!isSameDevice(newest, request)) {
    // The controller corrects itself: it would take the end of the old one for the end of the new one.
    return start(request, nowMs, { ...cancel(newest, { kind: 'cancel' }, nowMs), replies: [] });
  }
  return { kind: 'go-on', result: restart(newest, { kind: 'restart', ...request }, nowMs) };
}

/**
 * The same request again: the window starts anew and the device is announced again with the new
 * deadline. A device that has arrived goes on waiting for its name, and may fetch its broker data
 * once more in case it has lost all.
 */
export const restart: Step<Restart> = (onboarding, event, nowMs) => {
  const target = targetOf(onboarding, 'restart');
  if (target === undefined || target === 'repeat') return noWay(onboarding, 'restart');
  if (nowMs - onboarding.requestedAtMs < redeliveryMs) {
    return unchanged(onboarding, standing(onboarding, event.reply));
  }
  const again = moved(onboarding, target, nowMs, {
    requestedAtMs: nowMs,
    requestDigest: event.requestDigest,
    controller: event.reply,
    announcedAgain: target === 'awaiting-name',
  });
  return {
    onboarding: again,
    effects: again.announcedAgain ? [{ kind: 'announce-again' }] : [],
    replies: standing(again, event.reply),
  };
};

/**
 * The very message that brought the device in, delivered once more: answered, and not taken for the wish to add the
 * device again, which would throw it out first. A controller that wants that sends a message of its own.
 */
function isRedelivery(newest: Onboarding, request: ActivationRequest, nowMs: number): boolean {
  return (
    newest.state === 'active' &&
    newest.requestDigest === request.requestDigest &&
    nowMs - newest.requestedAtMs < activationWindowMs
  );
}

function isSameDevice(newest: Onboarding, request: ActivationRequest): boolean {
  return (
    newest.activationCode === request.activationCode &&
    newest.deviceType === request.deviceType &&
    newest.keyMode === request.keyMode
  );
}

function start(request: ActivationRequest, nowMs: number, before?: StepResult): Activation {
  const onboarding: Onboarding = {
    onboardingId: request.onboardingId,
    homeId: request.homeId,
    gatewayId: request.gatewayId,
    deviceId: request.deviceId,
    deviceType: request.deviceType,
    keyMode: request.keyMode,
    network: request.network,
    activationCode: request.activationCode,
    requestDigest: request.requestDigest,
    state: 'requested',
    version: 1,
    requestedAtMs: nowMs,
    deadlineMs: nowMs + activationWindowMs,
    certified: false,
    announcedAgain: false,
    controller: request.reply,
    device: undefined,
    deviceName: undefined,
    groupIds: [],
    topics: [],
    reason: undefined,
  };
  return { kind: 'start', onboarding, replies: [progress(onboarding)], ...(before ? { before } : {}) };
}
