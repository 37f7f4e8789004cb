import { type BusRequest, type Grants, grantsOf, grantsOfBridge } from './grants.js';
import type { Action, BrokerRole, Principal } from './principals.js';
import { covers, parseFilter, parseTopic } from './topic-filter.js';

/** What one principal may do on one broker. Compiled once, asked for every packet. */
export interface AccessRules {
  /**
   * @param topic a topic name; for `subscribe` a filter
   * @param nowMs Unix time in milliseconds
   */
  allows(action: Action, topic: string, nowMs: number): boolean;
}

/** Compiles what {@link grantsOf} grants a principal. Pure. */
export function compileRules(
  principal: Principal,
  broker: BrokerRole,
  busRequests: readonly BusRequest[] = [],
): AccessRules {
  return compile(grantsOf(principal, broker, busRequests));
}

/** What a home's gateway may do at the home's broker as its bridge to another one. Pure. */
export function bridgeRules(homeId: string): AccessRules {
  return compile(grantsOfBridge(homeId));
}

function compile({ untilMs = Number.POSITIVE_INFINITY, ...lists }: Grants): AccessRules {
  const patterns = {
    publish: lists.publish.map(levelsOf),
    subscribe: lists.subscribe.map(levelsOf),
    receive: lists.receive.map(levelsOf),
  };
  const except = lists.except.map(levelsOf);
  const literally = new Set(lists.subscribeLiterally);
  return {
    allows(action, topic, nowMs) {
      const granted = patterns[action];
      if (granted.length === 0 || nowMs >= untilMs) return false;
      if (action === 'subscribe' && literally.has(topic)) return true;
      const levels = action === 'subscribe' ? parseFilter(topic) : parseTopic(topic);
      if (levels === undefined || !granted.some((pattern) => covers(pattern, levels))) return false;
      return !except.some((pattern) => covers(pattern, levels));
    },
  };
}

function levelsOf(filter: string): readonly string[] {
  return filter.split('/');
}
