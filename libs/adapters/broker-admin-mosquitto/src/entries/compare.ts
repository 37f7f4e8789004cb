import type { ListedClient, ListedRole } from '../control/commands.js';
import { describeEntry, type Entry, type RoleEntry, readDescription } from './entry.js';

/**
 * How what the broker holds relates to what it is to hold: `same`; `grown`, where nothing is to be taken away and the
 * client may keep its session; `different`.
 */
export type Relation = 'same' | 'grown' | 'different';

/** What is compared of a client, in a form that is small enough to keep of all clients. */
export type Fingerprint = string;

export function fingerprintOf({ clientid = '', textdescription, disabled, roles, groups }: ListedClient): Fingerprint {
  const names = roles.map(({ rolename }) => rolename).sort();
  const isOdd = disabled || groups.length > 0;
  return [isOdd ? 'odd' : '', clientid, names.join(' '), textdescription].join('\n');
}

/** @param noted serials that the device could come with before, besides those of the fingerprint */
export function relate(actual: Fingerprint, wanted: Entry, noted: readonly string[] = []): Relation {
  const lines = actual.split('\n');
  const [, , , text = ''] = lines;
  const { identity, serials } = readDescription(text);
  const expected = expectedFingerprint(wanted).split('\n');
  if (lines.slice(0, 3).join('\n') !== expected.slice(0, 3).join('\n') || identity !== wanted.identity)
    return 'different';
  if ([...serials, ...noted].some((serial) => !wanted.serials.includes(serial))) return 'different';
  return wanted.serials.every((serial) => serials.includes(serial) || noted.includes(serial)) ? 'same' : 'grown';
}

function expectedFingerprint(wanted: Entry): Fingerprint {
  return fingerprintOf({
    username: wanted.username,
    ...(wanted.clientid !== undefined && { clientid: wanted.clientid }),
    textdescription: describeEntry(wanted),
    disabled: false,
    roles: wanted.roles.map(({ rolename }) => ({ rolename })),
    groups: [],
  });
}

/** True if a role gives what it is to give. */
export function isSameRole(actual: ListedRole | undefined, wanted: RoleEntry): boolean {
  return actual !== undefined && roleFingerprint(actual.acls) === roleFingerprint(wanted.acls);
}

export function roleFingerprint(
  acls: readonly { acltype: string; topic: string; priority: number; allow: boolean }[],
): string {
  return acls
    .map(({ acltype, topic, priority, allow }) => `${acltype} ${allow} ${priority} ${topic}`)
    .sort()
    .join('\n');
}
