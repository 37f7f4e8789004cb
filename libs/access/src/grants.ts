import { Mqtt2goError, topics, utilityDeviceTypes } from '@mqtt2go/protocol';
import {
  type BrokerRole,
  type ControllerPrincipal,
  type DevicePrincipal,
  isServiceName,
  type Principal,
  type ServiceName,
} from './principals.js';

/** Where an embedded broker takes changes of its access copy, and where it answers. */
export const accessControlTopic = '$CONTROL/mqtt2go-access/v1';
export const accessControlResponseTopic = `${accessControlTopic}/response`;

/** Where an embedded home broker tells who has subscribed to what, once that is in force. */
export const subscriptionNoticesTopic = '$SYS/mqtt2go/subscriptions';

/** A request on the bus, as far as access goes: who answers it and who may ask. */
export interface BusRequest {
  readonly service: ServiceName;
  readonly verb: string;
  readonly callers: readonly ServiceName[];
}

/**
 * What one principal may do on one broker: lists of topic filters and nothing else, so that each broker's own form of
 * access rules is made from the same lists and says exactly the same. What is in no list is denied.
 */
export interface Grants {
  /** Topics that one of these matches may be published. */
  readonly publish: readonly string[];
  /** Filters that one of these covers are granted: those that can match nothing else than it does. */
  readonly subscribe: readonly string[];
  /**
   * Filters that are granted as they stand, and no other that they cover. They match more than the principal may have;
   * `receive` picks what they deliver. None of them reaches into another home.
   */
  readonly subscribeLiterally: readonly string[];
  /** Topics that one of these matches are delivered; asked for each delivery. */
  readonly receive: readonly string[];
  /** Goes before the lists of patterns: topics that these match, and filters that they cover, are denied. */
  readonly except: readonly string[];
  /** Unix time in milliseconds from which on nothing is granted; for ever by default. */
  readonly untilMs?: number;
}

const nothing: Grants = { publish: [], subscribe: [], subscribeLiterally: [], receive: [], except: [] };

/**
 * What the policy grants. Pure, never throws; a principal with an id that could widen a topic gets nothing. Nor does a
 * device that is called as a service is: a broker that ends the sessions of such a device by its name would end the service's.
 * @param busRequests what can be asked on the bus, for a service there
 */
export function grantsOf(principal: Principal, broker: BrokerRole, busRequests: readonly BusRequest[] = []): Grants {
  try {
    return grants(principal, broker, busRequests);
  } catch (error) {
    if (error instanceof Mqtt2goError) return nothing;
    throw error;
  }
}

function grants(principal: Principal, broker: BrokerRole, busRequests: readonly BusRequest[]): Grants {
  switch (principal.kind) {
    case 'service':
      return serviceGrants(principal.id, broker, busRequests);
    case 'device':
      return broker === 'home' && !isServiceName(principal.id) ? deviceGrants(principal) : nothing;
    case 'controller':
      return broker === 'home' ? controllerGrants(principal) : nothing;
    case 'activation': {
      const { id, activationCode, expiresAtMs } = principal;
      if (broker !== 'activation' || isServiceName(id)) return nothing;
      return { ...all(activationTraffic({ activationCode })), untilMs: expiresAtMs };
    }
  }
}

/** In whatever group: a device's own topics end in its id, so that no two devices share one. */
function deviceGrants({ id, homeId, gatewayId, deviceType, hasMoved }: DevicePrincipal): Grants {
  const own = topics.device.filters({ homeId, gatewayId, deviceType, deviceId: id });
  if (hasMoved !== true) return all([...topicQueries(id), ...own]);
  // What the broker has kept for it is still delivered; nobody can say anything new there.
  return { ...all(topicQueries(id)), receive: [...topicQueries(id), ...own] };
}

/**
 * What an administrator has, of the whole home: whatever its people may say and hear, and nothing of a device's own.
 * @throws Mqtt2goError `invalid_identifier`
 */
export function grantsOfBridge(homeId: string): Grants {
  return {
    ...all([topics.gateway, topics.group, topics.device].flatMap((form) => form.filters({ homeId }))),
    subscribeLiterally: trees(topics.gateway.filters({ homeId })),
    except: topicQueries(homeId),
  };
}

function controllerGrants({ homeId, gatewayId, role, hasMoved }: ControllerPrincipal): Grants {
  if (hasMoved === true) return all(topics.addDevice.filters({ homeId, gatewayId }));
  switch (role) {
    case 'administrator':
      return {
        ...all([topics.gateway, topics.group, topics.device].flatMap((form) => form.filters({ homeId }))),
        subscribeLiterally: [
          ...trees(topics.gateway.filters({ homeId })),
          ...trees(topics.group.filters({ homeId, gatewayId })),
        ],
        // A home can be called as somebody else's device is: `<home>/topics` is that device's, not the home's.
        except: topicQueries(homeId),
      };
    case 'bridge':
      return grantsOfBridge(homeId);
    case 'family_member':
      return all(topics.device.filters({ homeId }));
    case 'guest':
      return {
        ...all(utilityDeviceTypes.flatMap((deviceType) => topics.device.filters({ homeId, deviceType }))),
        subscribeLiterally: [...topics.device.filters({ homeId }), ...topics.device.filters({ homeId, gatewayId })],
      };
  }
}

function serviceGrants(name: ServiceName, broker: BrokerRole, busRequests: readonly BusRequest[]): Grants {
  switch (broker) {
    case 'home':
      if (name === 'provisioning') return all([...topics.addDevice.filters(), ...topicQueries()]);
      if (name === 'federation') return relayGrants;
      return name === 'topic-generator' ? controlGrants : nothing;
    case 'activation': {
      if (name !== 'discovery') return nothing;
      const traffic = activationTraffic();
      return {
        ...nothing,
        publish: [...traffic, ...controlGrants.publish],
        subscribe: [...traffic, ...controlGrants.subscribe],
        receive: [...traffic, ...controlGrants.receive],
      };
    }
    case 'bus':
      return busGrants(name, busRequests);
  }
}

/** While a home moves it keeps what is said to and by the home's devices, and sees when they listen. */
const relayGrants: Grants = {
  ...nothing,
  publish: topics.device.filters(),
  subscribe: [...topics.device.filters(), subscriptionNoticesTopic],
  receive: [...topics.device.filters(), subscriptionNoticesTopic],
};

const controlGrants: Grants = {
  ...nothing,
  publish: [accessControlTopic],
  subscribe: [accessControlResponseTopic],
  receive: [accessControlResponseTopic],
};

function busGrants(name: ServiceName, busRequests: readonly BusRequest[]): Grants {
  const publish: string[] = [];
  const subscribe: string[] = [];
  for (const { service, verb, callers } of busRequests) {
    const request = `mqtt2go/${service}/${verb}`;
    const reply = `${request}/reply`;
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
  if (busRequests.some(({ service }) => service === name)) subscribe.push(`mqtt2go/${name}/+`);
  return { ...nothing, publish, subscribe, receive: subscribe };
}

/** `<id>/topics` and Rev 1.2's `<id>/topic`, both with and without a leading slash; of every device by default. */
function topicQueries(deviceId?: string): readonly string[] {
  const params = deviceId === undefined ? {} : { deviceId };
  return [...topics.deviceTopics.filters(params), ...topics.deviceTopic.filters(params)];
}

/** Where a device that is being added speaks; of every one by default. */
function activationTraffic(params: { readonly activationCode?: string } = {}): readonly string[] {
  return [...topics.activation.filters(params), ...topics.wifi.filters(params)];
}

/** `a/#` of `a/+`: all that is below, however deep. */
function trees(filters: readonly string[]): readonly string[] {
  return filters.map((filter) => filter.replace(/\+$/, '#'));
}

function all(filters: readonly string[]): Grants {
  return { ...nothing, publish: filters, subscribe: filters, receive: filters };
}
