import {
  accessControlResponseTopic,
  accessControlTopic,
  type BusRequest,
  grantsOf,
  type ServiceName,
  serviceNames,
  subscriptionNoticesTopic,
} from '@mqtt2go/access';
import { controlResponseTopic, controlTopic } from '../control/commands.js';
import { subscriptionLogTopic } from '../subscription-notices.js';
import type { MosquittoRole } from './limits.js';

/** Where this broker is told of access, and tells of subscriptions, in the place of where an embedded one is and does. */
const translated = new Map([
  [accessControlTopic, controlTopic],
  [accessControlResponseTopic, controlResponseTopic],
  [subscriptionNoticesTopic, subscriptionLogTopic],
]);

/**
 * The user name that a broker knows a service by: the subject of its certificate. Its CN alone could be a device's id,
 * and whatever ends that device's session would end the service's, for the broker looks for sessions by user name.
 */
export function serviceUser(name: string): string {
  return `CN=${name},O=MQTT2GO`;
}

/**
 * What services may do on a broker, for Mosquitto's `acl_file`. It looks at what is published and at what is
 * delivered, by the topic itself, so that shared subscriptions (`$share/<group>/<filter>`) need no lines of their own.
 * @param contracts what can be asked on the bus
 */
export function servicesAcl(role: MosquittoRole, contracts: readonly BusRequest[]): string {
  return `${serviceNames
    .map((name) => linesOf(name, role, contracts))
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function linesOf(name: ServiceName, role: MosquittoRole, contracts: readonly BusRequest[]): string[] {
  const { publish, receive } = grantsOf({ kind: 'service', id: name }, role, contracts);
  const rules = [...lines('write', publish), ...lines('read', receive)];
  return rules.length === 0 ? [] : [`user ${serviceUser(name)}`, ...rules];
}

function lines(access: 'read' | 'write', topics: readonly string[]): string[] {
  return [...new Set(topics)].map((topic) => `topic ${access} ${translated.get(topic) ?? topic}`);
}
