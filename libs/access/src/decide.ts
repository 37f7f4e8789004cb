import type { Action, BrokerRole, Principal } from './principals.js';
import type { BusRequest } from './grants.js';
import { compileRules } from './rules.js';

/** All that a decision depends on besides the principal. */
export interface AccessContext {
  readonly broker: BrokerRole;
  /** Unix time in milliseconds; an activation ends by it. */
  readonly nowMs: number;
  /** What can be asked on the bus; nothing is allowed there without. */
  readonly busRequests?: readonly BusRequest[];
}

/**
 * THE policy: whether this principal may do this on that broker. Denies by default, never throws.
 *
 * - `publish`, `receive`: `topic` is a topic name. `receive` is asked for each delivery, so that a
 *   subscription made under older rights delivers nothing that is no longer theirs.
 * - `subscribe`: `topic` is a filter, allowed if every topic that it can match is the principal's. One
 *   exception, closed by `receive`: filters of `Grants.subscribeLiterally`, and an administrator's that match
 *   what its home's namesake among the devices owns, deliver only what `receive` lets through.
 *
 * A broker that asks often compiles the rules once with {@link compileRules}.
 */
export function decide(principal: Principal, action: Action, topic: string, context: AccessContext): boolean {
  return compileRules(principal, context.broker, context.busRequests).allows(action, topic, context.nowMs);
}
