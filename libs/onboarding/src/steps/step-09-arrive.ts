import type { DeviceArrived, Effect, Step } from '../onboarding.js';
import { withdrawAnnouncement } from '../undo.js';
import { moved, noWay, targetOf, unchanged } from './moving.js';
import { deviceTopics, progress, renameRequested } from './replies.js';

const closeNetwork: Effect = { kind: 'close-network' };

/**
 * Step 9: the device asks for its topics at its home's broker. Without a name yet, the controller is
 * asked for one, each time (step 10); afterwards the topics come at once (step 12). Its entry at the
 * Discovery server has done its work, and so has the network that was opened for it.
 */
export const deviceArrived: Step<DeviceArrived> = (onboarding, event, nowMs) => {
  const target = targetOf(onboarding, event.kind);
  if (target === undefined || !onboarding.certified) return noWay(onboarding, event.kind);
  if (target !== 'repeat') {
    const next = moved(onboarding, target, nowMs, { device: event.reply });
    return {
      onboarding: next,
      effects: [withdrawAnnouncement(next), ...(next.network === undefined ? [] : [closeNetwork])],
      replies: [progress(next), renameRequested(next)],
    };
  }
  if (onboarding.state === 'active') return unchanged(onboarding, [deviceTopics(onboarding, event.reply)]);
  const replies = [renameRequested(onboarding)];
  if (!onboarding.announcedAgain) return unchanged(onboarding, replies);
  const settled = { ...onboarding, version: onboarding.version + 1, announcedAgain: false, device: event.reply };
  return { onboarding: settled, effects: [withdrawAnnouncement(settled)], replies };
};
