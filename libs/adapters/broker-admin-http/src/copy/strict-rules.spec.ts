import { type Action, compileRules, type Principal } from '@mqtt2go/access';
import { contractController, contractDevice } from '@mqtt2go/ports/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { strictRules } from './strict-rules.js';

const level = fc.constantFrom(
  'home-1',
  'home-2',
  'gw-1',
  'kitchen',
  'light',
  'camera',
  'plug-1',
  'topics',
  'add_device',
  '',
);
const topicLevels = fc.array(level, { minLength: 1, maxLength: 6 });
const filterLevels = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 6 }), fc.boolean())
  .map(([levels, hasTail]) => (hasTail ? [...levels, '#'] : levels));
const principals: readonly Principal[] = [
  contractDevice(),
  contractDevice({ id: 'home-1' }),
  contractController(),
  contractController({ role: 'family_member' }),
  contractController({ role: 'guest' }),
  { kind: 'service', id: 'provisioning' },
];

function matches(filter: readonly string[], topic: readonly string[]): boolean {
  for (const [index, wanted] of filter.entries()) {
    if (wanted === '#') return true;
    if (topic[index] === undefined || (wanted !== '+' && wanted !== topic[index])) return false;
  }
  return filter.length === topic.length;
}

describe('the policy at a broker that does not pick deliveries', () => {
  it('grants no filter that delivers what the policy withholds', () => {
    fc.assert(
      fc.property(fc.constantFrom(...principals), filterLevels, topicLevels, (principal, filter, topic) => {
        fc.pre(matches(filter, topic) && topic.join('/') !== '');
        if (!strictRules(principal, 'home').allows('subscribe', filter.join('/'), 0)) return;
        expect(compileRules(principal, 'home').allows('receive', topic.join('/'), 0)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  it('grants nothing that the policy does not', () => {
    const actions = fc.constantFrom<Exclude<Action, 'receive'>>('publish', 'subscribe');
    fc.assert(
      fc.property(fc.constantFrom(...principals), actions, filterLevels, (principal, action, levels) => {
        if (!strictRules(principal, 'home').allows(action, levels.join('/'), 0)) return;
        expect(compileRules(principal, 'home').allows(action, levels.join('/'), 0)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  it('leaves apps what they need', () => {
    const administrator = strictRules(contractController(), 'home');
    for (const filter of ['home-1/gw-1/add_device', 'home-1/gw-1/+/+/+', 'home-1/gw-1/kitchen/light/lamp-1']) {
      expect(administrator.allows('subscribe', filter, 0)).toBe(true);
    }
    expect(administrator.allows('subscribe', 'home-1/#', 0)).toBe(false);
  });
});
