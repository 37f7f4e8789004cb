import { type BrokerRole, compileRules, grantsOf, type Principal } from '@mqtt2go/access';

/** What a principal may do at a broker that asks before a subscription, and not again for what it delivers. */
export interface StrictRules {
  allows(action: 'publish' | 'subscribe', topic: string, nowMs: number): boolean;
}

/**
 * The policy, for brokers that do not pick deliveries: filters that only `receive` makes harmless are refused, which
 * are those granted literally (an administrator's `<home>/#`, a guest's `<home>/+/+/+/+`) and those that match anything
 * of what is excepted.
 */
export function strictRules(principal: Principal, broker: BrokerRole): StrictRules {
  const rules = compileRules(principal, broker);
  const { except, subscribeLiterally } = grantsOf(principal, broker);
  const excepted = except.map((filter) => filter.split('/'));
  return {
    allows(action, topic, nowMs) {
      if (!rules.allows(action, topic, nowMs)) return false;
      if (action === 'publish') return true;
      if (subscribeLiterally.includes(topic)) return false;
      const filter = topic.split('/');
      return !excepted.some((levels) => overlap(levels, filter));
    },
  };
}

/** True if some topic matches both filters. */
function overlap(a: readonly string[], b: readonly string[]): boolean {
  for (let index = 0; ; index += 1) {
    const [left, right] = [a[index], b[index]];
    if (left === '#' || right === '#') return true;
    if (left === undefined || right === undefined) return left === right;
    if (left !== '+' && right !== '+' && left !== right) return false;
  }
}
