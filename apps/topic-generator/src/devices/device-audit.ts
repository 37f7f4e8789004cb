import { type AuditEntry, callerActor } from '@mqtt2go/audit';
import { currentCaller, currentOnboardingId } from '@mqtt2go/messaging';

/** An entry on a device, by whoever has asked for the change. */
export function deviceEntry(
  action: AuditEntry['action'],
  deviceId: string,
  more: Pick<AuditEntry, 'homeId' | 'onboardingId' | 'details'> = {},
): AuditEntry {
  const actor = callerActor(currentCaller(), 'provisioning');
  return { actor, action, deviceId, onboardingId: currentOnboardingId(), ...more };
}
