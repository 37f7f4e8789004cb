import { describe, expect, it } from 'vitest';
import { decide } from '../decide.js';
import type {
  Action,
  ActivationPrincipal,
  BrokerRole,
  ControllerPrincipal,
  DevicePrincipal,
  Principal,
  ServiceName,
} from '../principals.js';
import type { BusRequest } from '../grants.js';

export const nowMs = 1_000_000;

export const plug: DevicePrincipal = {
  kind: 'device',
  id: 'plug-1',
  homeId: 'home-1',
  gatewayId: 'gw-1',
  deviceType: 'socket',
  certificateSerials: ['01'],
};
const password = { algorithm: 'pbkdf2-sha512', iterations: 1, salt: '', hash: '' } as const;
export const administrator: ControllerPrincipal = {
  kind: 'controller',
  id: 'phone-1@home-1',
  homeId: 'home-1',
  gatewayId: 'gw-1',
  role: 'administrator',
  password,
};
export const member: ControllerPrincipal = { ...administrator, id: 'phone-2@home-1', role: 'family_member' };
export const guest: ControllerPrincipal = { ...administrator, id: 'phone-3@home-1', role: 'guest' };
export const joining: ActivationPrincipal = {
  kind: 'activation',
  id: 'plug-1',
  activationCode: 'CODE',
  expiresAtMs: nowMs + 1,
};
export const service = (id: ServiceName): Principal => ({ kind: 'service', id });

export const busRequests: readonly BusRequest[] = [
  { service: 'certificate-authority', verb: 'issue', callers: ['provisioning'] },
  { service: 'certificate-authority', verb: 'get-authority', callers: ['provisioning', 'discovery'] },
  { service: 'provisioning', verb: 'claim', callers: ['discovery'] },
  { service: 'discovery', verb: 'register', callers: ['operator'] },
];

export type Attempt = readonly [action: Action | 'all', topic: string];

export function check(
  name: string,
  principal: Principal,
  broker: BrokerRole,
  allowed: Attempt[],
  refused: Attempt[],
): void {
  describe(`as ${name}`, () => {
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
export const forNobody: Attempt[] = [
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

export const homeOfOthers: Attempt[] = [
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
