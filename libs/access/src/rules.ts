import { isUtilityDeviceType, topics } from '@mqtt2go/protocol';
import type { Action, BrokerRole, ControllerPrincipal, DevicePrincipal, Principal, ServiceName } from './principals.js';
import { covers, type Levels, parseFilter, parseTopic } from './topic-filter.js';
import {
  accessControlResponseTopic,
  accessControlTopic,
  homeTree,
  patternsOf,
  topicQueries,
} from './topic-patterns.js';

/** A request on the bus, as far as access goes: who answers it and who may ask. */
export interface BusRequest {
  readonly service: ServiceName;
  readonly verb: string;
  readonly callers: readonly ServiceName[];
}

/** What one principal may do on one broker. Compiled once, asked for every packet. */
export interface AccessRules {
  /**
   * @param topic a topic name; for `subscribe` a filter
   * @param nowMs Unix time in milliseconds
   */
  allows(action: Action, topic: string, nowMs: number): boolean;
}

interface Grants {
  readonly publish: readonly Levels[];
  /** Filters inside of these are granted. */
  readonly subscribe: readonly Levels[];
  /** Topics inside of these are delivered; where this is narrower than `subscribe`, deliveries are picked one by one. */
  readonly receive: readonly Levels[];
  /** What the patterns above let through and is still not theirs. */
  readonly except?: readonly Levels[];
  /** For what a list of patterns cannot say. Filters come with their wildcards. */
  readonly also?: (levels: Levels) => boolean;
  readonly untilMs?: number;
}

const nothing: Grants = { publish: [], subscribe: [], receive: [] };

/** Compiles a principal's rules. Pure; a principal with an id that could widen a topic gets none. */
export function compileRules(
  principal: Principal,
  broker: BrokerRole,
  busRequests: readonly BusRequest[] = [],
): AccessRules {
  const grants = grantsOf(principal, broker, busRequests);
  const { untilMs = Number.POSITIVE_INFINITY, except = [], also = () => true } = grants;
  return {
    allows(action, topic, nowMs) {
      const patterns = grants[action];
      if (patterns.length === 0 || nowMs >= untilMs) return false;
      const levels = action === 'subscribe' ? parseFilter(topic) : parseTopic(topic);
      if (levels === undefined || !patterns.some((pattern) => covers(pattern, levels))) return false;
      return !except.some((pattern) => covers(pattern, levels)) && also(levels);
    },
  };
}

function grantsOf(principal: Principal, broker: BrokerRole, busRequests: readonly BusRequest[]): Grants {
  switch (principal.kind) {
    case 'service':
      return serviceGrants(principal.id, broker, busRequests);
    case 'device':
      return broker === 'home' ? deviceGrants(principal) : nothing;
    case 'controller':
      return broker === 'home' ? controllerGrants(principal) : nothing;
    case 'activation': {
      if (broker !== 'activation') return nothing;
      const { activationCode, expiresAtMs } = principal;
      return { ...both(() => topics.activation.filters({ activationCode })), untilMs: expiresAtMs };
    }
  }
}

function deviceGrants({ id, homeId, gatewayId, deviceType, groupIds }: DevicePrincipal): Grants {
  return both(() => [
    ...topicQueries(id),
    ...groupIds.flatMap((groupId) => topics.device.filters({ homeId, gatewayId, groupId, deviceType, deviceId: id })),
  ]);
}

function controllerGrants({ homeId, role }: ControllerPrincipal): Grants {
  switch (role) {
    case 'administrator':
      // A home can be called as somebody else's device is: `<home>/topics` is that device's, not the home's.
      return { ...both(() => homeTree(homeId)), except: patternsOf(() => topicQueries(homeId)) };
    case 'family_member':
      return both(() => topics.device.filters({ homeId }));
    case 'guest':
      return { ...both(() => topics.device.filters({ homeId })), also: isOfUtilityType };
  }
}

/** Counted from the end of a device's topic, so that a leading slash does not matter. */
const typeLevel = topics.device.params.indexOf('deviceType') - topics.device.params.length;

/** A filter over all types passes here: what it delivers is asked again, one by one. */
function isOfUtilityType(levels: Levels): boolean {
  const type = levels.at(typeLevel) ?? '';
  return type === '+' || isUtilityDeviceType(type);
}

function serviceGrants(name: ServiceName, broker: BrokerRole, busRequests: readonly BusRequest[]): Grants {
  switch (broker) {
    case 'home':
      if (name === 'provisioning') return both(() => [...topics.addDevice.filters(), ...topicQueries()]);
      return name === 'topic-generator' ? controlGrants : nothing;
    case 'activation': {
      if (name !== 'discovery') return nothing;
      const traffic = both(() => topics.activation.filters());
      return {
        publish: [...traffic.publish, ...controlGrants.publish],
        subscribe: [...traffic.subscribe, ...controlGrants.subscribe],
        receive: [...traffic.receive, ...controlGrants.receive],
      };
    }
    case 'bus':
      return busGrants(name, busRequests);
  }
}

const controlGrants: Grants = {
  publish: [accessControlTopic.split('/')],
  subscribe: [accessControlResponseTopic.split('/')],
  receive: [accessControlResponseTopic.split('/')],
};

function busGrants(name: ServiceName, busRequests: readonly BusRequest[]): Grants {
  const publish: Levels[] = [];
  const subscribe: Levels[] = [];
  for (const { service, verb, callers } of busRequests) {
    const request = ['mqtt2go', service, verb];
    const reply = [...request, 'reply'];
    if (service === name) {
      subscribe.push(request);
      publish.push(reply);
    }
    if (callers.includes(name)) {
      publish.push(request);
      subscribe.push(reply);
    }
  }
  // A service listens to all of its own requests at once; nobody else may publish what is not in the list.
  if (busRequests.some(({ service }) => service === name)) subscribe.push(['mqtt2go', name, '+']);
  return { publish, subscribe, receive: subscribe };
}

function both(filters: () => readonly string[]): Grants {
  const all = patternsOf(filters);
  return { publish: all, subscribe: all, receive: all };
}
