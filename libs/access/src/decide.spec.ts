import { describe, expect, it } from 'vitest';
import { decide } from './decide.js';
import type { Action, BrokerRole, ControllerPrincipal, DevicePrincipal, Principal, ServiceName } from './principals.js';
import type { BusRequest } from './rules.js';

const nowMs = 1_000_000;

const plug: DevicePrincipal = {
  kind: 'device',
  id: 'plug-1',
  homeId: 'home-1',
  gatewayId: 'gw-1',
  deviceType: 'socket',
  groupIds: ['kitchen', 'hall'],
  certificateSerials: ['01'],
};
const unnamed: DevicePrincipal = { ...plug, groupIds: [] };
const password = { algorithm: 'pbkdf2-sha512', iterations: 1, salt: '', hash: '' } as const;
const administrator: ControllerPrincipal = {
  kind: 'controller',
  id: 'phone-1',
  homeId: 'home-1',
  gatewayId: 'gw-1',
  role: 'administrator',
  password,
};
const member: ControllerPrincipal = { ...administrator, id: 'phone-2', role: 'family_member' };
const guest: ControllerPrincipal = { ...administrator, id: 'phone-3', role: 'guest' };
const joining: Principal = { kind: 'activation', id: 'plug-1', activationCode: 'CODE', expiresAtMs: nowMs + 1 };
const service = (id: ServiceName): Principal => ({ kind: 'service', id });

const busRequests: readonly BusRequest[] = [
  { service: 'certificate-authority', verb: 'issue', callers: ['provisioning'] },
  { service: 'certificate-authority', verb: 'get-authority', callers: ['provisioning', 'discovery'] },
  { service: 'provisioning', verb: 'claim', callers: ['discovery'] },
  { service: 'discovery', verb: 'register', callers: ['operator'] },
];

type Attempt = readonly [action: Action | 'all', topic: string];

function check(name: string, principal: Principal, broker: BrokerRole, allowed: Attempt[], refused: Attempt[]): void {
  describe(name, () => {
    const answers = (attempts: Attempt[]) =>
      attempts.flatMap(([action, topic]) => {
        const actions: Action[] = action === 'all' ? ['publish', 'subscribe', 'receive'] : [action];
        return actions.map((one) => ({ action: one, topic }));
      });
    it.each(answers(allowed))('may $action $topic', ({ action, topic }) => {
      expect(decide(principal, action, topic, { broker, nowMs, busRequests })).toBe(true);
    });
    it.each(answers(refused))('may not $action $topic', ({ action, topic }) => {
      expect(decide(principal, action, topic, { broker, nowMs, busRequests })).toBe(false);
    });
  });
}

/** What nobody from outside may do anywhere. */
const forNobody: Attempt[] = [
  ['all', '$CONTROL/mqtt2go-access/v1'],
  ['all', '$CONTROL/mqtt2go-access/v1/response'],
  ['all', '$SYS/broker/clients'],
  ['subscribe', '$SYS/#'],
  ['subscribe', '$CONTROL/#'],
  ['subscribe', '$share/all/#'],
  ['subscribe', '$share/all/plug-1/topics'],
  ['subscribe', '#'],
  ['subscribe', '+'],
  ['subscribe', '/#'],
  ['subscribe', '+/#'],
  ['subscribe', '+/+'],
  ['subscribe', '+/topics'],
  ['subscribe', '/+/topics'],
  ['subscribe', '+/+/add_device'],
  ['subscribe', '+/+/+/+/+'],
  ['subscribe', ''],
  ['subscribe', '/'],
  ['subscribe', '//'],
  ['publish', ''],
  ['publish', '/'],
  ['all', 'mqtt2go/provisioning/claim'],
  ['all', 'mqtt2go/provisioning/claim/reply'],
];

const homeOfOthers: Attempt[] = [
  ['all', 'home-2/gw-1/add_device'],
  ['all', '/home-2/gw-1/add_device'],
  ['all', 'home-2/users'],
  ['all', 'home-2/gw-1/kitchen/socket/plug-1'],
  ['subscribe', 'home-2/#'],
  ['subscribe', '/home-2/#'],
  ['subscribe', '+/gw-1/#'],
  ['subscribe', '+/gw-1/kitchen/socket/plug-1'],
  ['all', 'home-1x/gw-1/kitchen/socket/plug-1'],
  ['all', 'HOME-1/gw-1/kitchen/socket/plug-1'],
  ['all', '//home-1/gw-1/kitchen/socket/plug-1'],
];

describe('on the home broker', () => {
  check(
    'a device in its groups',
    plug,
    'home',
    [
      ['all', 'plug-1/topics'],
      ['all', '/plug-1/topics'],
      ['all', 'plug-1/topic'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-1'],
      ['all', 'home-1/gw-1/hall/socket/plug-1'],
      ['all', '/home-1/gw-1/hall/socket/plug-1'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'plug-2/topics'],
      ['all', 'plug-1/topics/more'],
      ['all', 'plug-1'],
      ['subscribe', 'plug-1/#'],
      ['subscribe', 'plug-1/+'],
      ['subscribe', 'plug-1/topics/#'],
      ['all', 'home-1/gw-1/attic/socket/plug-1'],
      ['all', 'home-1/gw-2/kitchen/socket/plug-1'],
      ['all', 'home-1/gw-1/kitchen/camera/plug-1'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-2'],
      ['all', 'home-1/gw-1/kitchen/socket'],
      ['subscribe', 'home-1/gw-1/kitchen/socket/+'],
      ['subscribe', 'home-1/gw-1/+/socket/plug-1'],
      ['subscribe', 'home-1/gw-1/kitchen/socket/#'],
      ['subscribe', 'home-1/gw-1/kitchen/socket/plug-1/#'],
      ['subscribe', 'home-1/#'],
      ['all', 'home-1/gw-1/add_device'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1'],
      ['publish', 'plug-1/+'],
      ['publish', 'home-1/gw-1/kitchen/socket/plug-1\0'],
      ['subscribe', 'plug-1/topics\0'],
    ],
  );

  check(
    'a device that has no name yet',
    unnamed,
    'home',
    [['all', 'plug-1/topics']],
    [...forNobody, ...homeOfOthers, ['all', 'home-1/gw-1/kitchen/socket/plug-1'], ['all', 'home-1/gw-1/add_device']],
  );

  check(
    'an administrator',
    administrator,
    'home',
    [
      ['all', 'home-1/gw-1/add_device'],
      ['all', '/home-1/gw-1/add_device'],
      ['all', 'home-1/gw-2/add_device'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1'],
      ['all', 'home-1/gw-1/kitchen'],
      ['all', 'home-1/gw-1/kitchen/camera/cam-1'],
      ['subscribe', 'home-1/#'],
      ['subscribe', '/home-1/#'],
      ['subscribe', 'home-1/+/+/+/+'],
      ['subscribe', 'home-1/+/add_device'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'plug-1/topics'],
      ['all', 'phone-2/topics'],
      // What it would be if a device were called as the home is.
      ['publish', 'home-1/topics'],
      ['receive', 'home-1/topics'],
      ['subscribe', 'home-1/topics'],
      ['receive', '/home-1/topic'],
    ],
  );

  check(
    'a family member',
    member,
    'home',
    [
      ['all', 'home-1/gw-1/kitchen/camera/cam-1'],
      ['all', '/home-1/gw-1/kitchen/light/lamp-1'],
      ['subscribe', 'home-1/+/+/+/+'],
      ['subscribe', 'home-1/gw-1/kitchen/+/+'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ['all', 'home-1/gw-1/add_device'],
      ['all', '/home-1/gw-1/add_device'],
      ['all', 'home-1/gw-2/add_device'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1'],
      ['all', 'home-1/gw-1/kitchen'],
      ['subscribe', 'home-1/#'],
      ['subscribe', 'home-1/gw-1/#'],
      ['subscribe', 'home-1/+/+'],
      ['subscribe', 'home-1/+/+/+/#'],
    ],
  );

  check(
    'a guest',
    guest,
    'home',
    [
      ['all', 'home-1/gw-1/kitchen/light/lamp-1'],
      ['all', '/home-1/gw-1/kitchen/light/lamp-1'],
      ['subscribe', 'home-1/gw-1/+/light/+'],
      ['subscribe', '/home-1/gw-1/+/light/+'],
      // Delivers lights and the like only: see `receive` below.
      ['subscribe', 'home-1/+/+/+/+'],
    ],
    [
      ...forNobody,
      ...homeOfOthers,
      ...['alarm', 'doorlock', 'camera', 'doorbell', 'garage_door', 'door', 'motion', 'smoke', 'flood'].map(
        (type): Attempt => ['all', `home-1/gw-1/hall/${type}/thing-1`],
      ),
      ['all', '/home-1/gw-1/hall/doorlock/lock-1'],
      ['all', 'home-1/gw-1/hall/doorlock_2030/lock-1'],
      ['subscribe', 'home-1/+/+/camera/+'],
      ['subscribe', '/home-1/+/+/camera/+'],
      ['all', 'home-1/gw-1/add_device'],
      ['all', 'home-1/users'],
      ['all', 'home-1/gw-1/kitchen'],
      ['subscribe', 'home-1/#'],
      ['subscribe', 'home-1/+/+/+/#'],
    ],
  );

  check('an activation', joining, 'home', [], [...forNobody, ['all', 'CODE/activation'], ['all', 'plug-1/topics']]);

  check(
    'provisioning',
    service('provisioning'),
    'home',
    [
      ['subscribe', '+/+/add_device'],
      ['subscribe', '/+/+/add_device'],
      ['subscribe', '+/topics'],
      ['subscribe', '/+/topics'],
      ['subscribe', '+/topic'],
      ['subscribe', '/+/topic'],
      ['publish', 'home-1/gw-1/add_device'],
      ['publish', '/home-1/gw-1/add_device'],
      ['publish', 'plug-1/topics'],
      ['receive', '/plug-1/topic'],
    ],
    [
      ['all', '$CONTROL/mqtt2go-access/v1'],
      ['publish', '$CONTROL/topics'],
      ['receive', '$SYS/topics'],
      ['subscribe', '#'],
      ['all', 'home-1/gw-1/kitchen/socket/plug-1'],
      ['all', 'home-1/users'],
      ['all', 'CODE/activation'],
    ],
  );

  check(
    'topic-generator',
    service('topic-generator'),
    'home',
    [
      ['publish', '$CONTROL/mqtt2go-access/v1'],
      ['subscribe', '$CONTROL/mqtt2go-access/v1/response'],
      ['receive', '$CONTROL/mqtt2go-access/v1/response'],
    ],
    [
      ['subscribe', '$CONTROL/mqtt2go-access/v1'],
      ['publish', '$CONTROL/mqtt2go-access/v1/response'],
      ['subscribe', '$CONTROL/#'],
      ['all', 'plug-1/topics'],
      ['all', 'home-1/gw-1/add_device'],
    ],
  );

  for (const name of ['discovery', 'certificate-authority', 'operator'] as const) {
    check(name, service(name), 'home', [], [...forNobody, ['all', 'plug-1/topics'], ['all', 'home-1/gw-1/add_device']]);
  }
});

describe('on the activation broker', () => {
  check(
    'a device that is being added',
    joining,
    'activation',
    [
      ['all', 'CODE/activation'],
      ['all', '/CODE/activation'],
    ],
    [
      ...forNobody,
      ['subscribe', '+/activation'],
      ['subscribe', '/+/activation'],
      ['subscribe', 'CODE/#'],
      ['subscribe', 'CODE/+'],
      ['all', 'CODE2/activation'],
      ['all', 'code/activation'],
      ['all', 'CODE'],
      ['all', 'CODE/activation/more'],
      ['all', 'CODE/wifi'],
      ['all', 'plug-1/topics'],
    ],
  );
  check(
    'an activation that has ended',
    { ...joining, expiresAtMs: nowMs },
    'activation',
    [],
    [['all', 'CODE/activation']],
  );
  check(
    'a device of a home',
    plug,
    'activation',
    [],
    [...forNobody, ['all', 'plug-1/topics'], ['all', 'x/activation']],
  );
  check('a controller', administrator, 'activation', [], [...forNobody, ['all', 'home-1/gw-1/add_device']]);
  check(
    'discovery',
    service('discovery'),
    'activation',
    [
      ['subscribe', '+/activation'],
      ['subscribe', '/+/activation'],
      ['publish', 'CODE/activation'],
      ['publish', '$CONTROL/mqtt2go-access/v1'],
      ['subscribe', '$CONTROL/mqtt2go-access/v1/response'],
    ],
    [
      ['all', 'plug-1/topics'],
      ['subscribe', '#'],
      ['publish', '$SYS/activation'],
    ],
  );
  for (const name of ['provisioning', 'topic-generator', 'certificate-authority', 'operator'] as const) {
    check(name, service(name), 'activation', [], [...forNobody, ['all', 'CODE/activation']]);
  }
});

describe('on the bus', () => {
  check(
    'a service that answers',
    service('certificate-authority'),
    'bus',
    [
      ['subscribe', 'mqtt2go/certificate-authority/+'],
      ['subscribe', 'mqtt2go/certificate-authority/issue'],
      ['receive', 'mqtt2go/certificate-authority/issue'],
      ['publish', 'mqtt2go/certificate-authority/issue/reply'],
    ],
    [
      ['publish', 'mqtt2go/certificate-authority/issue'],
      ['subscribe', 'mqtt2go/certificate-authority/issue/reply'],
      ['subscribe', 'mqtt2go/certificate-authority/#'],
      ['subscribe', 'mqtt2go/certificate-authority/+/reply'],
      ['subscribe', 'mqtt2go/+/+'],
      ['subscribe', 'mqtt2go/provisioning/+'],
      ['publish', 'mqtt2go/provisioning/claim/reply'],
      ['publish', 'mqtt2go/provisioning/claim'],
      ['subscribe', '#'],
      ['all', '$CONTROL/mqtt2go-access/v1'],
    ],
  );
  check(
    'a service that asks',
    service('discovery'),
    'bus',
    [
      ['publish', 'mqtt2go/provisioning/claim'],
      ['subscribe', 'mqtt2go/provisioning/claim/reply'],
      ['receive', 'mqtt2go/provisioning/claim/reply'],
      ['publish', 'mqtt2go/certificate-authority/get-authority'],
    ],
    [
      ['publish', 'mqtt2go/certificate-authority/issue'],
      ['subscribe', 'mqtt2go/certificate-authority/issue/reply'],
      ['receive', 'mqtt2go/certificate-authority/issue/reply'],
      ['subscribe', 'mqtt2go/certificate-authority/+/reply'],
      ['subscribe', 'mqtt2go/provisioning/claim'],
      ['publish', 'mqtt2go/provisioning/claim/reply'],
    ],
  );
  check(
    'the operator',
    service('operator'),
    'bus',
    [['publish', 'mqtt2go/discovery/register']],
    [
      ['subscribe', 'mqtt2go/operator/+'],
      ['subscribe', 'mqtt2go/discovery/+'],
      ['publish', 'mqtt2go/certificate-authority/issue'],
    ],
  );
  for (const principal of [plug, administrator, guest, joining]) {
    check(`a ${principal.kind} ${principal.id}`, principal, 'bus', [], [...forNobody, ['all', 'plug-1/topics']]);
  }
});
