import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Principal } from '@mqtt2go/access';
import { defaultAccess } from '../entries/acls.js';
import {
  type AccessBroker,
  type Card,
  describeEntry,
  entriesOf,
  type Entry,
  type RoleEntry,
} from '../entries/entry.js';
import { markerRole, markerText } from '../rebuild/marker.js';

/** Collects what the plugin reads when the broker starts (`plugin_opt_config_file`). */
export class SnapshotBuilder {
  readonly #clients: { readonly username: string; readonly json: string }[] = [];
  readonly #roles = new Map<string, string>();

  constructor(
    private readonly broker: AccessBroker,
    private readonly nowMs: number,
  ) {}

  add(principal: Principal): void {
    for (const entry of entriesOf(principal, this.broker, this.nowMs)) {
      if (!hasReadablePassword(entry)) continue;
      for (const role of entry.roles) {
        if (!this.#roles.has(role.rolename)) this.#roles.set(role.rolename, roleJson(role));
      }
      if (entry.card !== undefined) this.#roles.set(entry.card.rolename, cardJson(entry.card));
      this.#clients.push({ username: entry.username, json: clientJson(entry) });
    }
  }

  build(): string {
    // In ascending order the broker would look for the place of each among all before it, in the list of a role's clients.
    const clients = this.#clients.sort((a, b) => (a.username < b.username ? 1 : -1)).map(({ json }) => json);
    const marker = { rolename: markerRole, textdescription: markerText('snapshot', this.broker), acls: [] };
    const roles = [JSON.stringify(marker), ...this.#roles.values()];
    return [
      `{"defaultACLAccess":${JSON.stringify(defaultAccess)},`,
      `"clients":[${clients.join(',\n')}],`,
      '"groups":[],',
      `"roles":[${roles.join(',\n')}]}\n`,
    ].join('\n');
  }
}

/** Principals between two turns of the event loop. */
const atOnce = 500;

/** The file from which the dynamic security plugin of a broker starts with these principals. */
export async function dynsecSnapshot(
  principals: AsyncIterable<Principal> | Iterable<Principal>,
  broker: AccessBroker,
  nowMs = Date.now(),
): Promise<string> {
  const builder = new SnapshotBuilder(broker, nowMs);
  let count = 0;
  for await (const principal of principals) {
    builder.add(principal);
    count += 1;
    if (count % atOnce === 0) await nextTurn();
  }
  return builder.build();
}

/** Lengths of salts, in bytes, that Mosquitto reads. */
const readableSalts: ReadonlySet<number> = new Set([12, 64]);

/** One with another hash is told to the broker after its start, by the password itself. */
function hasReadablePassword({ password }: Entry): boolean {
  return password === undefined || readableSalts.has(Buffer.from(password.salt, 'base64').length);
}

function roleJson({ rolename, acls }: RoleEntry): string {
  return JSON.stringify({ rolename, acls });
}

function cardJson({ rolename, otherName }: Card): string {
  return JSON.stringify({ rolename, textdescription: otherName, acls: [] });
}

function clientJson(entry: Entry): string {
  const { username, clientid, roles, password } = entry;
  return JSON.stringify({
    username,
    ...(clientid !== undefined && { clientid }),
    textdescription: describeEntry(entry),
    roles: roles.map(({ rolename }) => ({ rolename })),
    // Mosquitto's own form of PBKDF2-SHA512.
    ...(password !== undefined && {
      encoded_password: `$7$${password.iterations}$${password.salt}$${password.hash}`,
    }),
  });
}
