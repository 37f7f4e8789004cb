import type { PrincipalKey } from '@mqtt2go/access';
import { deviceSubject } from '@mqtt2go/pki';
import {
  alreadyThere,
  type Command,
  clientAnswer,
  type ListedClient,
  notThere,
  type Reply,
  roleAnswer,
} from '../control/commands.js';
import type { ControlChannel } from '../control/control-channel.js';
import { fingerprintOf, relate } from '../entries/compare.js';
import {
  type AccessBroker,
  activationRoleOf,
  type Card,
  cardOf,
  describeEntry,
  type Entry,
  type RoleEntry,
  readDescription,
  readExpiry,
  subjectRoleOf,
} from '../entries/entry.js';
import type { Log } from '../log.js';

/**
 * A role that nobody has, whose description holds the serials that were added to a device since its client was made:
 * they cannot be written into the client without ending its session.
 */
export const noteOf = (username: string): string => `note/serials/${username}`;
export const noteName = /^note\/serials\/(.*)$/;

/** What {@link CopyWriter.put} has found or made of a client. */
export type Outcome = 'created' | 'kept' | 'replaced' | 'left out';

/**
 * Brings single principals into the plugin's memory. Keeps nothing of what it has told: what is there is asked of the
 * broker along with each change, so that several processes may write, and none has to remember.
 */
export class CopyWriter {
  /** Roles that were made or found since this connection began. */
  readonly #knownRoles = new Set<string>();
  #knownSince = -1;
  readonly #leftOut = new Set<string>();

  constructor(
    private readonly channel: ControlChannel,
    private readonly broker: AccessBroker,
    private readonly log: Log,
  ) {}

  /**
   * Makes a client as it is to be. One that is there and loses nothing keeps its session; any other is deleted and
   * made anew, which ends it.
   */
  async put(entry: Entry): Promise<Outcome> {
    if (entry.card !== undefined) await this.#lay(entry.card);
    const roles = entry.roles.filter(({ rolename, isOwn }) => isOwn || !this.#known().has(rolename));
    const mayCreate = entry.password === undefined || entry.secret !== undefined;
    const replies = await this.#send([
      ...roles.map(createRole),
      { command: 'getClient', username: entry.username },
      { command: 'getRole', rolename: noteOf(entry.username) },
      ...(mayCreate ? [createClient(entry)] : []),
    ]);
    const made = replies.slice(0, roles.length);
    const [client, note, creation] = replies.slice(roles.length);
    for (const { rolename, isOwn } of roles) if (!isOwn) this.#known().add(rolename);
    if (creation?.error === 'Role not found') {
      // Somebody else has deleted it.
      this.#known().clear();
      return this.#replace(entry);
    }
    const actual = clientAnswer.safeParse(client?.data).data?.client;
    if (actual === undefined) {
      if (!mayCreate) return this.#leaveOut(entry);
      // A role of its own that was there before its client is one of another activation.
      const isStale = made.some(({ error }, index) => error !== undefined && roles[index]?.isOwn === true);
      return isStale ? this.#replace(entry) : 'created';
    }
    const noted = readDescription(roleAnswer.safeParse(note?.data).data?.role.textdescription ?? '').serials;
    return this.#reconcile(entry, actual, noted);
  }

  /** Deletes a principal's clients, which ends their sessions. They take what is their own with them. */
  async remove({ kind, id }: PrincipalKey): Promise<void> {
    if (kind === 'activation') {
      await this.#send([{ command: 'deleteClient', username: id }, deleteRole(activationRoleOf(id))]);
    } else if (kind === 'device' && this.broker === 'home-of-gateways') {
      const [card] = await this.#send([{ command: 'getRole', rolename: cardOf(id) }]);
      const names = [deviceSubject(id), otherNameOn(card)].filter((name) => name !== '');
      await this.#send([...names.flatMap((name) => this.#removal(name)), deleteRole(cardOf(id))]);
    } else {
      await this.removeName(id);
    }
  }

  /** Deletes one client of a home broker. */
  async removeName(username: string): Promise<void> {
    await this.#send(this.#removal(username));
  }

  /** Deletes the client of an activation that has ended by what the broker holds: another process may have renewed it. */
  async removeIfEnded(id: string, nowMs: number): Promise<void> {
    const [reply] = await this.#send([{ command: 'getClient', username: id }]);
    const text = clientAnswer.safeParse(reply?.data).data?.client.textdescription;
    const endsAtMs = text === undefined ? undefined : readExpiry(text);
    if (endsAtMs !== undefined && endsAtMs <= nowMs) await this.remove({ kind: 'activation', id });
  }

  /** Makes a role that all may share, so that {@link put} need not. */
  async createRole(role: RoleEntry): Promise<void> {
    await this.#send([createRole(role)]);
    this.#known().add(role.rolename);
  }

  /** Gives a role that all may share other rules; ends sessions of clients that have had it since the broker's start. */
  async changeRole({ rolename, acls }: RoleEntry): Promise<void> {
    await this.#send([{ command: 'modifyRole', rolename, acls }]);
  }

  /**
   * Before any client of the name on it: whoever looks at the card finds all that there is of the device. A device that has
   * come to another home has another name, and is not to be found by the former one.
   */
  async #lay({ rolename, otherName }: Card): Promise<void> {
    const [, found] = await this.#send([
      { command: 'createRole', rolename, textdescription: otherName, acls: [] },
      { command: 'getRole', rolename },
    ]);
    const former = otherNameOn(found);
    if (former === otherName) return;
    await this.#send([
      ...(former === '' ? [] : this.#removal(former)),
      { command: 'modifyRole', rolename, textdescription: otherName },
    ]);
  }

  #removal(username: string): Command[] {
    return [
      { command: 'deleteClient', username },
      deleteRole(noteOf(username)),
      ...(this.broker === 'home-of-gateways' ? [deleteRole(subjectRoleOf(username))] : []),
    ];
  }

  async #reconcile(entry: Entry, actual: ListedClient, noted: readonly string[]): Promise<Outcome> {
    const relation = relate(fingerprintOf(actual), entry, noted);
    if (relation === 'same') return 'kept';
    if (relation === 'grown') {
      const rolename = noteOf(entry.username);
      const textdescription = describeEntry({ identity: 'serials', serials: entry.serials });
      await this.#send([
        { command: 'createRole', rolename, textdescription, acls: [] },
        { command: 'modifyRole', rolename, textdescription },
      ]);
      return 'kept';
    }
    if (entry.password === undefined || entry.secret !== undefined) return this.#replace(entry);
    const isSamePerson = readDescription(actual.textdescription).identity === entry.identity && !actual.disabled;
    if (!isSamePerson || actual.clientid !== entry.clientid || actual.groups.length > 0) {
      await this.remove(entry.key);
      return this.#leaveOut(entry);
    }
    await this.#send([...entry.roles.map(createRole), { ...clientBody(entry), command: 'modifyClient' }]);
    return 'replaced';
  }

  /** In one message, so that at no time the client has neither the old rights nor the new ones, or both. */
  async #replace(entry: Entry): Promise<Outcome> {
    const replies = await this.#send([
      { command: 'deleteClient', username: entry.username },
      deleteRole(noteOf(entry.username)),
      ...entry.roles.flatMap((role) =>
        role.isOwn ? [deleteRole(role.rolename), createRole(role)] : [createRole(role)],
      ),
      createClient(entry),
    ]);
    const error = replies.at(-1)?.error;
    if (error !== undefined && !alreadyThere.has(error)) throw this.channel.unavailable(`createClient: ${error}`);
    return 'replaced';
  }

  #leaveOut({ username }: Entry): Outcome {
    if (!this.#leftOut.has(username)) {
      this.#leftOut.add(username);
      this.log.warn({ username }, 'only a hash of the password is known; the broker takes it at its next start');
    }
    return 'left out';
  }

  #known(): Set<string> {
    if (this.#knownSince !== this.channel.connection) {
      this.#knownSince = this.channel.connection;
      this.#knownRoles.clear();
    }
    return this.#knownRoles;
  }

  async #send(commands: readonly Command[]): Promise<Reply[]> {
    const replies = await this.channel.send(commands);
    for (const { command, error } of replies) {
      if (error !== undefined && !alreadyThere.has(error) && !notThere.has(error)) {
        throw this.channel.unavailable(`${command}: ${error}`);
      }
    }
    return replies;
  }
}

/** On the answer to a question for a card. */
function otherNameOn(card: Reply | undefined): string {
  return roleAnswer.safeParse(card?.data).data?.role.textdescription ?? '';
}

function createRole({ rolename, acls }: RoleEntry): Command {
  return { command: 'createRole', rolename, acls };
}

function deleteRole(rolename: string): Command {
  return { command: 'deleteRole', rolename };
}

function clientBody(entry: Entry) {
  return {
    username: entry.username,
    textdescription: describeEntry(entry),
    roles: entry.roles.map(({ rolename }) => ({ rolename })),
  };
}

function createClient(entry: Entry): Command {
  return {
    command: 'createClient',
    ...clientBody(entry),
    ...(entry.clientid !== undefined && { clientid: entry.clientid }),
    ...(entry.secret !== undefined && entry.password !== undefined && { password: entry.secret }),
  };
}
