import type { Principal } from '@mqtt2go/access';
import { deviceSubject } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import type { ControlChannel } from '../control/control-channel.js';
import { defaultAccess } from '../entries/acls.js';
import { relate } from '../entries/compare.js';
import { type AccessBroker, type Entry, entriesOf, idOf, type RoleEntry } from '../entries/entry.js';
import type { CopyWriter } from './copy-writer.js';
import type { Lanes } from './lanes.js';
import { digestOf, type Listing, listAll, listNames, type Pace } from './listing.js';

/**
 * So many are collected and told in descending order: the plugin keeps clients and roles in ascending order and looks
 * for each new one's place from the beginning.
 */
const collectedAtOnce = 25_000;
/** Few enough for the last one's answer to come in time from a broker that is slow. */
const underWayAtOnce = 100;

/** Differences by kind, of which one is enough to be looked at. */
export interface Drift {
  readonly missing: number;
  readonly different: number;
  readonly extra: number;
}

/** A look at the copy that repairs only what was found twice, so that what changes meanwhile is left to who changes it. */
export interface AuditPass {
  /** What the pass before has found; undefined in the first one. */
  readonly confirmed: ReadonlySet<string> | undefined;
  readonly found: Set<string>;
}

export interface ReplacementOptions {
  readonly channel: ControlChannel;
  readonly writer: CopyWriter;
  readonly lanes: Lanes;
  readonly broker: AccessBroker;
  readonly clock: Clock;
  readonly pace: Pace;
  /** Names that others change meanwhile; what they say is newer. */
  readonly touched: ReadonlySet<string>;
  readonly audit?: AuditPass;
  /** Sees every principal, before anything is done with it. */
  readonly onPrincipal?: (principal: Principal) => void;
}

type Difference = 'missing' | 'different' | 'extra' | 'role';

/** Makes what the broker holds equal to a list, telling it only what differs: nobody who stays loses a session. */
export class Replacement {
  readonly #options: ReplacementOptions;
  readonly #kept = new Set<string>();
  readonly #rolesSeen = new Set<string>();
  readonly #repaired: Record<Difference, number> = { missing: 0, different: 0, extra: 0, role: 0 };
  #listing: Listing = { clients: new Map(), roles: new Map(), notes: new Map() };

  constructor(options: ReplacementOptions) {
    this.#options = options;
  }

  /** @returns what was repaired */
  async run(principals: AsyncIterable<Principal> | Iterable<Principal>): Promise<Drift> {
    const { channel, broker, clock, pace, onPrincipal } = this.#options;
    const acls = Object.entries(defaultAccess).map(([acltype, allow]) => ({ acltype, allow }));
    await channel.send([{ command: 'setDefaultACLAccess', acls }]);
    this.#listing = await listAll(channel, pace);
    let entries: Entry[] = [];
    for await (const principal of principals) {
      onPrincipal?.(principal);
      for (const entry of entriesOf(principal, broker, clock.now())) {
        this.#kept.add(entry.username);
        entries.push(entry);
      }
      if (entries.length < collectedAtOnce) continue;
      await this.#tell(entries);
      entries = [];
    }
    // First those who are to be there no more, as far as all others are known by now.
    await this.#removeOthers(this.#listing.clients.keys());
    await this.#tell(entries);
    // The first list was read while others made changes.
    await this.#removeOthers(await listNames(channel, pace));
    const { missing, different, extra, role } = this.#repaired;
    return { missing, different: different + role, extra };
  }

  async #tell(entries: readonly Entry[]): Promise<void> {
    await this.#changeRoles(entries);
    const differing = entries.filter((entry) => this.#differs(entry));
    differing.sort((a, b) => descending(a.username, b.username));
    await this.#createRoles(differing);
    for (let at = 0; at < differing.length; at += underWayAtOnce) {
      await Promise.all(differing.slice(at, at + underWayAtOnce).map((entry) => this.#put(entry)));
    }
  }

  async #changeRoles(entries: readonly Entry[]): Promise<void> {
    for (const role of entries.flatMap(({ roles }) => roles)) {
      if (role.isOwn || this.#rolesSeen.has(role.rolename)) continue;
      this.#rolesSeen.add(role.rolename);
      const actual = this.#listing.roles.get(role.rolename);
      // One that is not there yet is made along with its first client.
      if (actual === undefined || actual === digestOf(role.acls)) continue;
      if (this.#isToBeRepaired('role', role.rolename)) await this.#options.writer.changeRole(role);
    }
  }

  async #createRoles(entries: readonly Entry[]): Promise<void> {
    const missing = new Map<string, RoleEntry>();
    for (const role of entries.flatMap(({ roles }) => roles)) {
      if (!role.isOwn && !this.#listing.roles.has(role.rolename)) missing.set(role.rolename, role);
    }
    const roles = [...missing.values()].sort((a, b) => descending(a.rolename, b.rolename));
    for (let at = 0; at < roles.length; at += underWayAtOnce) {
      const some = roles.slice(at, at + underWayAtOnce);
      await Promise.all(some.map((role) => this.#options.writer.createRole(role)));
    }
  }

  #differs(entry: Entry): boolean {
    const actual = this.#listing.clients.get(entry.username);
    if (actual === undefined) return this.#isToBeRepaired('missing', entry.username);
    const hasOtherRole =
      (entry.card !== undefined && !this.#listing.roles.has(entry.card.rolename)) ||
      entry.roles.some(({ rolename, acls, isOwn }) => {
        const digest = this.#listing.roles.get(rolename);
        return digest === undefined || (isOwn && digest !== digestOf(acls));
      });
    const relation = hasOtherRole ? 'different' : relate(actual, entry, this.#listing.notes.get(entry.username));
    if (relation === 'grown') return this.#options.audit === undefined;
    return relation === 'different' && this.#isToBeRepaired('different', entry.username);
  }

  async #put(entry: Entry): Promise<void> {
    const { lanes, writer, touched } = this.#options;
    const { id } = entry.key;
    await lanes.run(id, async () => {
      if (!touched.has(id)) await writer.put(entry);
    });
  }

  async #removeOthers(names: Iterable<string>): Promise<void> {
    const { lanes, writer, touched, broker } = this.#options;
    const others = [...names].filter(
      (name) => !this.#kept.has(name) && !touched.has(idOf(name)) && this.#isToBeRepaired('extra', name),
    );
    for (let at = 0; at < others.length; at += underWayAtOnce) {
      await Promise.all(
        others.slice(at, at + underWayAtOnce).map((name) => {
          const id = idOf(name);
          return lanes.run(id, async () => {
            if (touched.has(id)) return;
            if (broker === 'activation') await writer.remove({ kind: 'activation', id });
            else if (name === deviceSubject(id)) await writer.remove({ kind: 'device', id });
            else await writer.removeName(name);
          });
        }),
      );
    }
    for (const name of others) this.#listing.clients.delete(name);
  }

  /** Counts it, unless this is an audit that has not seen it before. */
  #isToBeRepaired(difference: Difference, name: string): boolean {
    const { audit } = this.#options;
    const what = `${difference} ${name}`;
    if (audit?.confirmed?.has(what) === false || (audit !== undefined && audit.confirmed === undefined)) {
      audit.found.add(what);
      return false;
    }
    this.#repaired[difference] += 1;
    return true;
  }
}

/** As the plugin compares, for names are ASCII. */
function descending(a: string, b: string): number {
  return a < b ? 1 : -1;
}
