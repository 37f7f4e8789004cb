import type { StateRule } from './states.js';

const waysOut = ['expire', 'refuse', 'cancel'] as const;

/**
 * Proves the table on import, so that a service with a broken one does not start: every state is
 * reachable, ended ones have no way out, open ones have a deadline and can expire, be refused and be
 * cancelled, and no event is both a transition and a repetition.
 * @throws Error naming the state and what is wrong with it
 */
export function checkStates(states: Readonly<Record<string, StateRule>>, initial: string): void {
  for (const [name, rule] of Object.entries(states)) checkState(name, rule, states);
  const missing = Object.keys(states).filter((name) => !reachableFrom(initial, states).has(name));
  if (missing.length > 0) throw new Error(`unreachable onboarding states: ${missing.join(', ')}`);
}

function checkState(name: string, rule: StateRule, states: Readonly<Record<string, StateRule>>): void {
  const fail = (what: string): never => {
    throw new Error(`onboarding state ${name} ${what}`);
  };
  for (const [event, target] of Object.entries(rule.on)) {
    if (!Object.hasOwn(states, target)) fail(`leads to ${target} on ${event}, which is no state`);
    if (rule.repeats.some((repeat) => repeat === event)) fail(`takes ${event} for a transition and for a repetition`);
  }
  if (!rule.open) {
    if (Object.keys(rule.on).length > 0) fail('has ended and still has a way out');
    if (rule.window || rule.work || rule.mayHold.length > 0) fail('has ended and still owes or holds something');
    return;
  }
  if (!rule.window) fail('is open and has no deadline');
  for (const event of waysOut) {
    const target = rule.on[event];
    const end = target === undefined ? undefined : states[target];
    if (!end || end.open) fail(`is open and does not end on ${event}`);
  }
}

function reachableFrom(initial: string, states: Readonly<Record<string, StateRule>>): Set<string> {
  const seen = new Set([initial]);
  for (const name of seen) {
    for (const target of Object.values(states[name]?.on ?? {})) seen.add(target);
  }
  return seen;
}
