import { identifier } from '@mqtt2go/protocol';
import { utilityDeviceTypes } from './device-types.js';
import type { Action, BrokerRole, ControllerPrincipal, DevicePrincipal, Principal, ServiceName } from './principals.js';
import { covers, type Levels, parseFilter, parseTopic } from './topic-filter.js';
import {
  accessControlResponseTopic,
  accessControlTopic,
  activation,
  addDevice,
  deviceTopic,
  homeTree,
  inBothForms,
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
    case 'activation':
      if (broker !== 'activation' || !areIdentifiers(principal.id, principal.activationCode)) return nothing;
      return { ...both([activation(principal.activationCode)]), untilMs: principal.expiresAtMs };
  }
}

function deviceGrants(device: DevicePrincipal): Grants {
  const { id, homeId, gatewayId, deviceType, groupIds } = device;
  if (!areIdentifiers(id, homeId, gatewayId, deviceType, ...groupIds)) return nothing;
  return both([
    ...topicQueries(id),
    ...groupIds.map((groupId) => deviceTopic(homeId, gatewayId, groupId, deviceType, id)),
  ]);
}

/** The levels of {@link deviceTopic}, counted from the end so that a leading slash does not matter. */
const typeLevelFromEnd = -2;

function controllerGrants(controller: ControllerPrincipal): Grants {
  const { id, homeId, gatewayId, role } = controller;
  if (!areIdentifiers(id, homeId, gatewayId)) return nothing;
  // A home can be called as somebody else's device is: `<home>/topics` is that device's, not the home's.
  const except = topicQueries(homeId).flatMap(inBothForms);
  switch (role) {
    case 'administrator':
      return { ...both([homeTree(homeId)]), except };
    case 'family_member':
      return both([deviceTopic(homeId)]);
    case 'guest': {
      const devices = both([deviceTopic(homeId)]);
      return {
        ...devices,
        also: (levels) => {
          const type = levels.at(typeLevelFromEnd) ?? '';
          return type === '+' || utilityDeviceTypes.has(type);
        },
      };
    }
  }
}

function serviceGrants(name: ServiceName, broker: BrokerRole, busRequests: readonly BusRequest[]): Grants {
  switch (broker) {
    case 'home':
      if (name === 'provisioning') return both([addDevice(), ...topicQueries()]);
      return name === 'topic-generator' ? controlGrants : nothing;
    case 'activation': {
      if (name !== 'discovery') return nothing;
      const traffic = both([activation()]);
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

function both(patterns: readonly Levels[]): Grants {
  const all = patterns.flatMap(inBothForms);
  return { publish: all, subscribe: all, receive: all };
}

/** What has a slash or a wildcard in it, or begins with `$`, must not become a level of a pattern. */
function areIdentifiers(...values: readonly string[]): boolean {
  return values.every((value) => identifier.safeParse(value).success);
}
