import type { OnboardingStateName } from '@mqtt2go/protocol';
import { advance } from './machine.js';
import type { ActivationRequest, DeviceArrived, Named, Onboarding, OnboardingEvent, StepResult } from './onboarding.js';
import { activate } from './steps/step-01-activate.js';

/** What the specs of this library share; not exported from it. */
export const startMs = Date.UTC(2026, 0, 1);

export const request: ActivationRequest = {
  onboardingId: '5f0c8a52-6d0e-4a6e-9d57-0c1d33f7a001',
  homeId: 'home-1',
  gatewayId: 'gw-1',
  deviceId: 'socket-1',
  deviceType: 'socket',
  keyMode: 'existing-key',
  activationCode: 'CODE-1',
  requestDigest: 'digest-1',
  reply: { revision: '1.0', topic: '/home-1/gw-1/add_device' },
};

export const arrival: DeviceArrived = {
  kind: 'device-arrived',
  reply: { revision: '1.0', topic: 'socket-1/topics' },
};

export const naming: Named = {
  kind: 'named',
  homeId: 'home-1',
  gatewayId: 'gw-1',
  deviceName: 'Kettle',
  groupIds: ['kitchen'],
  topics: ['home-1/gw-1/kitchen/socket/socket-1'],
  reply: { revision: '1.0', topic: '/home-1/gw-1/add_device' },
};

export function started(change: Partial<ActivationRequest> = {}, nowMs: number = startMs): Onboarding {
  const activation = activate(undefined, { ...request, ...change }, nowMs);
  if (activation.kind !== 'start') throw new Error(`not started: ${activation.kind}`);
  return activation.onboarding;
}

/** Brings a new onboarding through the given events, which all have to be taken. */
export function after(
  events: readonly OnboardingEvent[],
  from: Onboarding = started(),
  nowMs: number = startMs,
): StepResult {
  let result: StepResult = { onboarding: from, effects: [], replies: [] };
  for (const event of events) {
    result = advance(result.onboarding, event, nowMs);
    if (result.refusal) throw result.refusal;
  }
  return result;
}

const forward: readonly OnboardingEvent[] = [
  { kind: 'certified' },
  { kind: 'announced' },
  { kind: 'claimed' },
  arrival,
  naming,
];

/** An onboarding that has come this far on the good way. */
export function inState(state: OnboardingStateName, from: Onboarding = started()): Onboarding {
  const index = ['requested', 'certified', 'announced', 'claimed', 'awaiting-name', 'active'].indexOf(state);
  if (index >= 0) return after(forward.slice(0, index), from).onboarding;
  if (state === 'expired') return advance(from, { kind: 'expire' }, from.deadlineMs).onboarding;
  if (state === 'cancelled') return advance(from, { kind: 'cancel' }, startMs).onboarding;
  throw new Error(`no fixture for ${state}`);
}

/** The same request, made again by the same gateway. */
export function restartedAt(onboarding: Onboarding, nowMs: number): StepResult {
  const activation = activate(onboarding, { ...request, requestDigest: 'digest-2' }, nowMs);
  if (activation.kind !== 'go-on') throw new Error(`not restarted: ${activation.kind}`);
  return activation.result;
}
