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
import { deviceSubject } from '@mqtt2go/pki';
import { identifierPattern } from '@mqtt2go/protocol';
import type { Acl } from '../control/commands.js';
import { aclsOf } from './acls.js';

/**
 * Brokers that have the dynamic security plugin. A `home-of-gateways` trusts CAs of gateways, and knows devices by the whole
 * subjects of their certificates, of which such a CA can give none of another home; all others know them by their common names.
 */
export type AccessBroker = 'home' | 'home-of-gateways' | 'activation';

/** @param gateways whether a home broker is for homes with gateways of their own */
export function accessBrokerOf(role: 'home' | 'activation', gateways: boolean): AccessBroker {
  return role === 'home' && gateways ? 'home-of-gateways' : role;
}

export interface RoleEntry {
  readonly rolename: string;
  readonly acls: readonly Acl[];
  /** True if no other client ever has it: it comes and goes with its client. */
  readonly isOwn: boolean;
}

/** A role that nobody has, and that tells by which other name a device may come: of a device's home its id tells nothing. */
export interface Card {
  readonly rolename: string;
  /** Empty where there is none. */
  readonly otherName: string;
}

/** What the plugin is to hold for one of the names of a principal. */
export interface Entry {
  readonly key: PrincipalKey;
  readonly username: string;
  /** Devices have to come with it; set, it also spares the plugin a search of all sessions when it tells of the client. */
  readonly clientid?: string;
  readonly roles: readonly RoleEntry[];
  /** Of a device that is known by whole subjects. */
  readonly card?: Card;
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

/** What the plugin is to hold for a principal: nothing, one client, or one for each name that a device may come by. */
export function entriesOf(principal: Principal, broker: AccessBroker, nowMs: number): readonly Entry[] {
  if (!isHeld(principal, broker)) return [];
  switch (principal.kind) {
    case 'device':
      return broker === 'home-of-gateways' ? subjectEntries(principal) : deviceEntries(principal);
    case 'controller':
      return controllerEntries(principal);
    case 'activation':
      return principal.expiresAtMs > nowMs ? activationEntries(principal) : [];
    case 'service':
      return [];
  }
}

/** The id of whom a user name stands for, which is that id or the subject of a device's certificate. */
export function idOf(username: string): string {
  return /^(?:serialNumber=[^,]*,)?CN=([^,]*),/.exec(username)?.[1] ?? username;
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

/** The role of an activation, which goes with its client. */
export const activationRoleOf = (deviceId: string): string => `activation/${deviceId}`;
/** The role of a device's client, where clients share none. */
export const subjectRoleOf = (subject: string): string => `subject/${subject}`;
export const cardOf = (deviceId: string): string => `note/subject/${deviceId}`;

function deviceEntries(device: DevicePrincipal): readonly Entry[] {
  const { certificateSerials } = device;
  const roles = deviceRoles(device);
  if (certificateSerials.length === 0 || roles === undefined) return [];
  return [
    {
      key: { kind: 'device', id: device.id },
      username: device.id,
      clientid: device.id,
      roles,
      identity: 'device',
      serials: certificateSerials,
    },
  ];
}

/**
 * By the subject of the platform's certificates and, where its home's gateway is trusted, by that of the gateway's. The user
 * name is not the device's id, for which no `%u` can stand: no two have the same roles.
 */
function subjectEntries(device: DevicePrincipal): readonly Entry[] {
  const { id, homeId, trustsGateway, certificateSerials } = device;
  const acls = aclsOf(grantsOf(device, 'home'));
  if (certificateSerials.length === 0 || acls.length === 0) return [];
  const ofGateway = trustsGateway === true ? deviceSubject(id, homeId) : '';
  const identity = `device:${tag(JSON.stringify(acls))}`;
  return [deviceSubject(id), ...(ofGateway === '' ? [] : [ofGateway])].map((subject) => ({
    key: { kind: 'device', id },
    username: subject,
    clientid: subject,
    roles: [{ rolename: subjectRoleOf(subject), acls, isOwn: true }],
    card: { rolename: cardOf(id), otherName: ofGateway },
    identity,
    serials: certificateSerials,
  }));
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

function controllerEntries(controller: ControllerPrincipal): readonly Entry[] {
  const { id, homeId, gatewayId, role, password, secret, hasMoved } = controller;
  const acls = aclsOf(grantsOf(controller, 'home'));
  if (acls.length === 0) return [];
  return [
    {
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
    },
  ];
}

function activationEntries(activation: ActivationPrincipal): readonly Entry[] {
  const { id, activationCode, expiresAtMs } = activation;
  const acls = aclsOf(grantsOf(activation, 'activation'));
  if (acls.length === 0) return [];
  return [
    {
      key: { kind: 'activation', id },
      username: id,
      clientid: id,
      roles: [{ rolename: activationRoleOf(id), acls, isOwn: true }],
      identity: `activation:${tag(activationCode)}:${expiresAtMs}`,
      serials: [],
      expiresAtMs,
    },
  ];
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
