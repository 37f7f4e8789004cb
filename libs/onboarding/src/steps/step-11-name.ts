import { identifier, Mqtt2goError } from '@mqtt2go/protocol';
import type { Effect, Named, Naming, Onboarding, Reply, Step } from '../onboarding.js';
import { moved, refusedTo, targetOf } from './moving.js';
import { withdrawAnnouncement } from '../undo.js';
import { deviceTopics, progress } from './replies.js';

/** Most groups that a device can be put in by one rename. */
export const maximumGroups = 32;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const deviceName = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,64}$/u;

/**
 * Why this device cannot be given this name now, if so; asked before its topics are assigned. A
 * device of another home is as unknown to a controller as one that does not exist.
 */
export function namingRefusal(onboarding: Onboarding | undefined, naming: Naming): Mqtt2goError | undefined {
  if (!onboarding || onboarding.homeId !== naming.homeId || onboarding.gatewayId !== naming.gatewayId) {
    return new Mqtt2goError('unknown_device');
  }
  if (!deviceName.test(naming.deviceName)) {
    return new Mqtt2goError(
      'malformed_message',
      'device_name is to be 1 to 64 characters, none of them a control character',
    );
  }
  if (naming.groupIds.length < 1 || naming.groupIds.length > maximumGroups) {
    return new Mqtt2goError('malformed_message', `group_id is to name 1 to ${maximumGroups} groups`);
  }
  if (!naming.groupIds.every((id) => identifier.safeParse(id).success)) return new Mqtt2goError('invalid_identifier');
  if (targetOf(onboarding, 'named') !== undefined) return undefined;
  if (onboarding.state === 'expired') return new Mqtt2goError('activation_expired');
  if (onboarding.state === 'refused' || onboarding.state === 'cancelled') return new Mqtt2goError('unknown_device');
  return new Mqtt2goError('conflict', 'The device has not come to its broker yet.');
}

/**
 * Steps 11 and 12: the device has a name, groups and topics, and is in. The same name again is
 * answered the same; another name for an active device takes the place of the first.
 */
export const named: Step<Named> = (onboarding, event, nowMs) => {
  const refusal = namingRefusal(onboarding, event);
  if (refusal) return refusedTo(onboarding, refusal);
  const target = targetOf(onboarding, event.kind);
  if (target === undefined) return refusedTo(onboarding, new Mqtt2goError('conflict'));
  const naming = { deviceName: event.deviceName, groupIds: event.groupIds, topics: event.topics };
  if (target === 'repeat') {
    const next = alreadyNamed(onboarding, event)
      ? onboarding
      : { ...onboarding, ...naming, version: onboarding.version + 1 };
    return { onboarding: next, effects: [], replies: answers(next, event) };
  }
  const next = moved(onboarding, target, nowMs, { ...naming, announcedAgain: false });
  const effects: readonly Effect[] = [
    { kind: 'settle-certificate', outcome: 'completed' },
    ...(onboarding.announcedAgain ? [withdrawAnnouncement(onboarding)] : []),
  ];
  return { onboarding: next, effects, replies: [...answers(next, event), progress(next)] };
};

/** To the device its topics, to the controller "ok". */
function answers(onboarding: Onboarding, event: Named): readonly Reply[] {
  const done: Reply = { to: event.reply, message: { kind: 'command-done', command: 'rename-device' } };
  return onboarding.device ? [deviceTopics(onboarding, onboarding.device), done] : [done];
}

/** True when this very naming is what made the device active: its topics need not be assigned again. */
export function alreadyNamed(onboarding: Onboarding, naming: Naming): boolean {
  return (
    onboarding.state === 'active' &&
    onboarding.deviceName === naming.deviceName &&
    sameList(onboarding.groupIds, naming.groupIds)
  );
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((entry, index) => entry === b[index]);
}
