import { describe, expect, it } from 'vitest';
import { checkStates } from './check-states.js';
import { onboardingStates, openStates, type StateRule } from './states.js';

const sound: Record<string, StateRule> = onboardingStates;

function withRule(name: string, change: Partial<StateRule>): Record<string, StateRule> {
  const rule = sound[name];
  if (!rule) throw new Error(`no state ${name}`);
  return { ...sound, [name]: { ...rule, ...change } };
}

describe('the check of the state table', () => {
  it('takes the table that runs', () => {
    expect(() => checkStates(sound, 'requested')).not.toThrow();
    expect(openStates).toEqual(['requested', 'certified', 'announced', 'claimed', 'awaiting-name']);
  });

  it('names a state that cannot be reached', () => {
    const { named: _named, ...on } = onboardingStates['awaiting-name'].on;
    expect(() => checkStates(withRule('awaiting-name', { on }), 'requested')).toThrow(
      'unreachable onboarding states: active',
    );
  });

  it('names an ended state that has a way out', () => {
    const table = withRule('expired', { on: { restart: 'requested' } });
    expect(() => checkStates(table, 'requested')).toThrow('expired has ended and still has a way out');
  });

  it.each(['expire', 'refuse', 'cancel'] as const)('names an open state that does not end on %s', (event) => {
    const on = { ...onboardingStates.claimed.on, [event]: undefined };
    expect(() => checkStates(withRule('claimed', { on }), 'requested')).toThrow();
    const stays = { ...onboardingStates.claimed.on, [event]: 'claimed' as const };
    expect(() => checkStates(withRule('claimed', { on: stays }), 'requested')).toThrow(
      `claimed is open and does not end on ${event}`,
    );
  });

  it('names an open state without a deadline, and an ended one that holds something', () => {
    expect(() => checkStates(withRule('announced', { window: undefined }), 'requested')).toThrow('has no deadline');
    expect(() => checkStates(withRule('active', { mayHold: ['certificate'] }), 'requested')).toThrow('owes or holds');
  });

  it('names an event that is both a transition and a repetition', () => {
    expect(() => checkStates(withRule('certified', { repeats: ['announced'] }), 'requested')).toThrow(
      'for a repetition',
    );
  });
});
