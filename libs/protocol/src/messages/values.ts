import { z } from 'zod';
import { groupIdentifier, identifier } from '../identifiers.js';

/** At most so many groups at once. */
export const maxGroups = 32;

/** A group, or several: what is sent. One is sent as a string, as Rev 1.0 shows it. */
export const groupIds = z.union([groupIdentifier, z.array(groupIdentifier).min(1).max(maxGroups)]);

/** A group or several, as a list without repetitions: what is read. */
export const groupIdList = z.preprocess(
  (value) => (Array.isArray(value) ? [...new Set<unknown>(value)] : [value]),
  z.array(groupIdentifier).min(1).max(maxGroups),
);

/** The form in which groups are sent: a string for one, else a list. */
export function toGroupIds(ids: readonly string[]): string | string[] {
  const [first] = ids;
  return ids.length === 1 && first !== undefined ? first : [...ids];
}

/** What a device may be told or tell: any JSON value; the limits of its topic bound size and depth. */
export const jsonValue = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.null(),
  z.array(z.unknown()),
  z.record(z.string(), z.unknown()),
]);

/** The name of a command or a report. */
export const wireName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be a name: a-z first, then a-z 0-9 _, 64 at most');

/** PEM: a certificate, its chain, and a PKCS#8 key if the platform made it. */
export const pemBundle = z.string().min(1).max(15_000);

/** The port of a broker unless the message says otherwise. */
export const defaultBrokerPort = 8883;

export const brokerIp = z
  .string()
  .regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be an IP address or a host name')
  .describe('IP address or host name, no scheme.');

const port = z.int().min(1).max(65_535);

/** What is sent of a broker's port. */
export const brokerPort = port
  .refine((value) => value !== defaultBrokerPort, 'is left out when it is 8883')
  .optional()
  .describe('Left out when it is 8883.');

/** What is read of a broker's port. */
export const readBrokerPort = port.default(defaultBrokerPort);

/** A certificate signing request. */
export const certificateRequest = z.string().min(1).max(8192);

/** A topic that a device or user is to subscribe: no wildcard in it. */
export const plainTopic = z
  .string()
  .min(1)
  .max(400)
  .regex(/^[^+#\p{Cc}]+$/u, 'must be a topic without wildcards');

/** 1 (most urgent) to 5. */
export const priorityLevel = z.int().min(1).max(5);

/** A login or a password. */
export const credential = z.string().min(1).max(256);

export const emailAddress = z.email().max(254);

export const ok = z.literal('ok');
export const all = z.literal('all');

const maxListed = 10_000;
export const identifierList = z.array(identifier).max(maxListed);
export const topicList = z.array(plainTopic).max(maxListed);
