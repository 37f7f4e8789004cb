import fc from 'fast-check';
import { controllerUsername } from '../controller-username.js';
import type { ActivationPrincipal, ControllerPrincipal, DevicePrincipal, PasswordHash } from '../principals.js';

/** Whom a broker knows, for one comparison. */
export interface HomeWorld {
  readonly devices: readonly DevicePrincipal[];
  readonly controllers: readonly ControllerPrincipal[];
}

export interface ActivationWorld {
  readonly activations: readonly ActivationPrincipal[];
}

/** The password of all controllers of all worlds, and its hash. */
export const worldPassword = 'first-password';
const password: PasswordHash = {
  algorithm: 'pbkdf2-sha512',
  iterations: 1000,
  salt: 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==',
  hash: '1wWAZdKMIzUodPDEEX9obR9onJTOq4ekrXJKjk0qA91k7ZvI2ftxc3Wpv3DshPoCfFwsYKcW+v62O1FdWKgcpQ==',
};
/** The serial number of all devices' certificates. */
export const worldSerial = '0A01';

/** Ids that begin like each other, are words of the standard, or are called as somebody else is; and any others. */
const alike = [
  'plug',
  'plug1',
  'plug-1',
  'home',
  'home1',
  'home.',
  'light',
  'gw',
  'CODE',
  'topics',
  'topic',
  'add_device',
];
const services = ['provisioning', 'topic-generator', 'discovery'];
const long = 'x'.repeat(64);
const anyId = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...alike, ...services, '-', '..', long) },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/) },
);
const homeId = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('home', 'home1', 'HOME', 'plug', 'topics', 'add_device', '.') },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/) },
);
const gatewayId = fc.constantFrom('gw', 'gw1', 'gw-1', 'home', 'plug', 'add_device', long);
const deviceType = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('light', 'light_2', 'socket', 'camera', 'doorlock', 'plug') },
  { weight: 1, arbitrary: fc.stringMatching(/^[a-z0-9_]{1,64}$/) },
);

/** Of controllers: a device of a home that has moved may receive what it can no longer subscribe to, which no attempt shows. */
const hasMoved = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constant(true as const) },
);

const device: fc.Arbitrary<DevicePrincipal> = fc.record({
  kind: fc.constant('device'),
  id: anyId,
  homeId,
  gatewayId,
  deviceType,
  certificateSerials: fc.constant([worldSerial]),
});

const controller: fc.Arbitrary<ControllerPrincipal> = fc
  .record({
    name: anyId,
    homeId,
    gatewayId,
    role: fc.constantFrom('administrator', 'family_member', 'guest', 'bridge'),
    hasMoved,
  })
  .map(({ name, ...rest }) => ({
    kind: 'controller',
    id: controllerUsername(name, rest.homeId),
    ...rest,
    password,
    secret: worldPassword,
  }));

const byId = { selector: ({ id }: { readonly id: string }) => id };

export const homeWorld: fc.Arbitrary<HomeWorld> = fc.record({
  devices: fc.uniqueArray(device, { ...byId, minLength: 1, maxLength: 4 }),
  controllers: fc.uniqueArray(controller, { ...byId, minLength: 1, maxLength: 4 }),
});

/** Codes are unique, as the platform sees to it. None has ended. */
export const activationWorld: fc.Arbitrary<ActivationWorld> = fc
  .uniqueArray(
    fc.record({ id: anyId, activationCode: fc.oneof(anyId, fc.constantFrom('code', 'CODE1', 'activation')) }),
    {
      comparator: (a, b) => a.id === b.id || a.activationCode === b.activationCode,
      minLength: 1,
      maxLength: 5,
    },
  )
  .map((waiting) => ({
    activations: waiting.map((one) => ({ kind: 'activation', ...one, expiresAtMs: Date.UTC(2100, 0) })),
  }));

/** An administrator of each home, through whom everything that can be said in it can be said and heard. */
export function observersOf({ devices, controllers }: HomeWorld): ControllerPrincipal[] {
  const homes = new Set([...devices, ...controllers].map((principal) => principal.homeId));
  return [...homes].map((home) => ({
    kind: 'controller',
    id: controllerUsername('observer', home),
    homeId: home,
    gatewayId: 'observer',
    role: 'administrator',
    password,
    secret: worldPassword,
  }));
}
