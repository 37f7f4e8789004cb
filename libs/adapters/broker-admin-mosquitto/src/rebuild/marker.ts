import { createHash } from 'node:crypto';
import type { Principal } from '@mqtt2go/access';
import type { Command } from '../control/commands.js';
import { defaultAccess } from '../entries/acls.js';
import { type AccessBroker, entriesOf } from '../entries/entry.js';

/**
 * A role that nobody has. Its description tells where the copy comes from: made whole by a service while the broker
 * ran (`live`), or read from the snapshot when it started, and so perhaps of an older state. Without it the copy is lost.
 */
export const markerRole = 'mqtt2go';

export type Origin = 'live' | 'snapshot';

/** The roles of these tell which policy a copy was made by. */
const samples: readonly Principal[] = [
  {
    kind: 'device',
    id: 'd',
    homeId: 'h',
    gatewayId: 'g',
    deviceType: 't',
    certificateSerials: ['01'],
    trustsGateway: true,
  },
  ...(['administrator', 'family_member', 'guest'] as const).map(
    (role): Principal => ({
      kind: 'controller',
      id: 'c@h',
      homeId: 'h',
      gatewayId: 'g',
      role,
      password: { algorithm: 'pbkdf2-sha512', iterations: 1, salt: '', hash: '' },
    }),
  ),
  { kind: 'activation', id: 'd', activationCode: 'c', expiresAtMs: 1 },
];

const policies = new Map<AccessBroker, string>();

/** Another one for each policy, so that a newer program makes the copy of an older one anew. */
function policyOf(broker: AccessBroker): string {
  const known = policies.get(broker);
  if (known !== undefined) return known;
  const entries = samples.map((sample) => entriesOf(sample, broker, 0));
  const policy = createHash('sha256')
    .update(JSON.stringify({ entries, defaultAccess }))
    .digest('base64url')
    .slice(0, 16);
  policies.set(broker, policy);
  return policy;
}

export function markerText(origin: Origin, broker: AccessBroker): string {
  return `${origin} ${policyOf(broker)}`;
}

/** True if the copy was made whole while the broker ran, by this policy. */
export function isLive(textdescription: string | undefined, broker: AccessBroker): boolean {
  return textdescription === markerText('live', broker);
}

/** Neither ends anybody's session, for nobody has the role. */
export function markLive(broker: AccessBroker): Command[] {
  const textdescription = markerText('live', broker);
  return [
    { command: 'createRole', rolename: markerRole, textdescription, acls: [] },
    { command: 'modifyRole', rolename: markerRole, textdescription },
  ];
}
