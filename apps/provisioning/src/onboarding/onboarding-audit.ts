import type { AuditActor, AuditEntry } from '@mqtt2go/audit';
import { currentCaller } from '@mqtt2go/messaging';
import type { Onboarding, OnboardingEventName } from '@mqtt2go/onboarding';

/** MQTT does not tell who of a gateway's controllers has published; nobody else can. */
export function controllerActor({ homeId, gatewayId }: Pick<Onboarding, 'homeId' | 'gatewayId'>): AuditActor {
  return { kind: 'controller', id: `${homeId}/${gatewayId}` };
}

/** The entry of a new onboarding. */
export function startEntry(onboarding: Onboarding): AuditEntry {
  return entry(onboarding, 'onboarding.requested', controllerActor(onboarding));
}

/**
 * The entry of a change; none where an onboarding stays what it was.
 * @param event what has led to it; the result may be another, for it may have been overdue
 */
export function changeEntry(from: Onboarding, to: Onboarding, event: OnboardingEventName): AuditEntry | undefined {
  if (event === 'restart' && to.state !== 'expired') {
    return entry(to, 'onboarding.requested-again', controllerActor(to));
  }
  return from.state === to.state ? undefined : entry(to, `onboarding.${to.state}`, actorOf(to, event));
}

/** The entry of an onboarding that a later one, perhaps in another home, takes the place of. */
export function replacedEntry(to: Onboarding, by: Onboarding): AuditEntry {
  return { ...entry(to, `onboarding.${to.state}`, controllerActor(by)), details: { replacedBy: by.onboardingId } };
}

function actorOf(onboarding: Onboarding, event: OnboardingEventName): AuditActor {
  const { state, deviceId } = onboarding;
  switch (state) {
    case 'expired':
      return { kind: 'system', id: 'deadline' };
    case 'claimed':
    case 'awaiting-name':
      return { kind: 'device', id: deviceId };
    case 'requested':
    case 'active':
      return controllerActor(onboarding);
    case 'cancelled':
      return event === 'cancel' ? { kind: 'operator', id: currentCaller() ?? 'operator' } : controllerActor(onboarding);
    case 'certified':
    case 'announced':
    case 'refused':
      return { kind: 'service', id: 'provisioning' };
  }
}

function entry(onboarding: Onboarding, action: AuditEntry['action'], actor: AuditActor): AuditEntry {
  const { onboardingId, deviceId, homeId, gatewayId, reason } = onboarding;
  return { actor, action, deviceId, homeId, onboardingId, outcome: reason ?? 'ok', details: { gatewayId } };
}
