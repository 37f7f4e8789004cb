import { createHash } from 'node:crypto';
import {
  type ActivationPrincipal,
  type ControllerPrincipal,
  type DevicePrincipal,
  type Grants,
  grantsOf,
  isControllerUsername,
  isServiceName,
  type PasswordHash,
  type Principal,
  type PrincipalKey,
} from '@mqtt2go/access';
import { identifierPattern } from '@mqtt2go/protocol';
import type { Acl } from '../control/commands.js';
import { aclsOf } from './acls.js';

/** Brokers that have the dynamic security plugin. */
export type AccessBroker = 'home' | 'activation';

export interface RoleEntry {
  readonly rolename: string;
  readonly acls: readonly Acl[];
  /** True if no other client ever has it: it comes and goes with its client. */
  readonly isOwn: boolean;
}

/** What the plugin is to hold for one principal. */
export interface Entry {
  readonly key: PrincipalKey;
  readonly username: string;
  /** Devices have to come with it; set, it also spares the plugin a search of all sessions when it tells of the client. */
  readonly clientid?: string;
  readonly roles: readonly RoleEntry[];
  /** What makes the client what it is, besides its roles. Another one is another client. */
  readonly identity: string;
  readonly serials: readonly string[];
  readonly password?: PasswordHash;
  /** The password itself, which alone makes a client with a password while the broker runs. */
  readonly secret?: string;
  readonly expiresAtMs?: number;
}

/**
 * Whether this broker holds such principals at all. Names from before controllers had a home in theirs could be a device's.
 * The plugin ends sessions by user name alone, on every listener: with a client of its name, a service's would go.
 */
export function isHeld({ kind, id }: PrincipalKey, broker: AccessBroker): boolean {
  if (isServiceName(id)) return false;
  if (broker === 'activation') return kind === 'activation' && identifierPattern.test(id);
  return kind === 'device' ? identifierPattern.test(id) : kind === 'controller' && isControllerUsername(id);
}

/** What the plugin is to hold for a principal; undefined if that is nothing. */
export function entryOf(principal: Principal, broker: AccessBroker, nowMs: number): Entry | undefined {
  if (!isHeld(principal, broker)) return undefined;
  switch (principal.kind) {
    case 'device':
      return deviceEntry(principal);
    case 'controller':
      return controllerEntry(principal);
    case 'activation':
      return principal.expiresAtMs > nowMs ? activationEntry(principal) : undefined;
    case 'service':
      return undefined;
  }
}

/** A client's textual description: its identity and, after a blank, the certificates that it may come with. */
export function describeEntry({ identity, serials }: Pick<Entry, 'identity' | 'serials'>): string {
  return serials.length === 0 ? identity : `${identity} ${serials.join(',')}`;
}

export function readDescription(text: string): { readonly identity: string; readonly serials: readonly string[] } {
  const [identity = '', serials = ''] = text.split(' ', 2);
  return { identity, serials: serials === '' ? [] : serials.split(',') };
}

/** When an activation ends, by its client's description; undefined for any other client. */
export function readExpiry(text: string): number | undefined {
  const ends = /^activation:[^:]*:([0-9]+)$/.exec(text)?.[1];
  return ends === undefined ? undefined : Number(ends);
}

export const ownRoleOf = (deviceId: string): string => `activation/${deviceId}`;

function deviceEntry(device: DevicePrincipal): Entry | undefined {
  const { certificateSerials } = device;
  const roles = deviceRoles(device);
  if (certificateSerials.length === 0 || roles === undefined) return undefined;
  return {
    key: { kind: 'device', id: device.id },
    username: device.id,
    clientid: device.id,
    roles,
    identity: 'device',
    serials: certificateSerials,
  };
}

/** The last ones: a home's devices are changed together, and most are of few types. */
const rolesOfDevices = new Map<string, readonly RoleEntry[] | undefined>();
const maxRemembered = 4_096;

type DeviceKind = Pick<DevicePrincipal, 'homeId' | 'gatewayId' | 'deviceType' | 'hasMoved'>;

function deviceRoles(kind: DeviceKind): readonly RoleEntry[] | undefined {
  const { homeId, gatewayId, deviceType, hasMoved } = kind;
  const rolename = `${hasMoved === true ? movedPrefix : ''}device/${homeId}/${gatewayId}/${deviceType}`;
  if (!rolesOfDevices.has(rolename)) {
    if (rolesOfDevices.size >= maxRemembered) rolesOfDevices.clear();
    rolesOfDevices.set(rolename, compileDeviceRoles(rolename, kind));
  }
  return rolesOfDevices.get(rolename);
}

/** Roles of a home that has moved: another name, so that a home that comes back has others again. */
const movedPrefix = 'moved/';

/**
 * Roles that all devices of one kind in a home share: `%u` stands for the device's id, which is its user name. What
 * begins with the id is the same for every device, so that it is in a role of its own.
 */
function compileDeviceRoles(rolename: string, kind: DeviceKind): readonly RoleEntry[] | undefined {
  const { homeId, gatewayId, deviceType, hasMoved } = kind;
  // Any id that is not one of the others, so that each level tells what it stands for.
  let id = 'x';
  while ([homeId, gatewayId, deviceType].includes(id)) id += 'x';
  const grants = grantsOf(
    { kind: 'device', id, homeId, gatewayId, deviceType, certificateSerials: [], ...(hasMoved && { hasMoved }) },
    'home',
  );
  if (grants.publish.length === 0) return undefined;
  const substituted = mapGrants(grants, (filter) =>
    filter
      .split('/')
      .map((level) => (level === id ? '%u' : level))
      .join('/'),
  );
  const isGeneral = (filter: string): boolean => /^\/?%u\//.test(filter);
  return [
    { rolename: 'device', acls: aclsOf(filterGrants(substituted, isGeneral)), isOwn: false },
    { rolename, acls: aclsOf(filterGrants(substituted, (filter) => !isGeneral(filter))), isOwn: false },
  ];
}

function controllerEntry(controller: ControllerPrincipal): Entry | undefined {
  const { id, homeId, gatewayId, role, password, secret, hasMoved } = controller;
  const acls = aclsOf(grantsOf(controller, 'home'));
  if (acls.length === 0) return undefined;
  return {
    key: { kind: 'controller', id },
    username: id,
    // Its listeners force it to that.
    clientid: id,
    roles: [
      {
        rolename: `${hasMoved === true ? movedPrefix : ''}controller/${homeId}/${gatewayId}/${role}`,
        acls,
        isOwn: false,
      },
    ],
    identity: `controller:${tag(`${password.iterations} ${password.salt} ${password.hash}`)}`,
    serials: [],
    password,
    ...(secret !== undefined && { secret }),
  };
}

function activationEntry(activation: ActivationPrincipal): Entry | undefined {
  const { id, activationCode, expiresAtMs } = activation;
  const acls = aclsOf(grantsOf(activation, 'activation'));
  if (acls.length === 0) return undefined;
  return {
    key: { kind: 'activation', id },
    username: id,
    clientid: id,
    roles: [{ rolename: ownRoleOf(id), acls, isOwn: true }],
    identity: `activation:${tag(activationCode)}:${expiresAtMs}`,
    serials: [],
    expiresAtMs,
  };
}

/** Tells two secrets apart and says nothing else of them. */
function tag(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url').slice(0, 16);
}

function mapGrants(grants: Grants, map: (filter: string) => string): Grants {
  return eachList(grants, (filters) => filters.map(map));
}

function filterGrants(grants: Grants, isWanted: (filter: string) => boolean): Grants {
  return eachList(grants, (filters) => filters.filter(isWanted));
}

function eachList(grants: Grants, change: (filters: readonly string[]) => readonly string[]): Grants {
  return {
    publish: change(grants.publish),
    subscribe: change(grants.subscribe),
    subscribeLiterally: change(grants.subscribeLiterally),
    receive: change(grants.receive),
    except: change(grants.except),
  };
}
