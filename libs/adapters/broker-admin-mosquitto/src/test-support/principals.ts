import type { ActivationPrincipal, ControllerPrincipal, DevicePrincipal } from '@mqtt2go/access';
import { hashPassword } from '@mqtt2go/pki';

export function device(id: string, change: Partial<DevicePrincipal> = {}): DevicePrincipal {
  return {
    kind: 'device',
    id,
    homeId: 'home-1',
    gatewayId: 'gw-1',
    deviceType: 'socket',
    certificateSerials: ['0A01'],
    ...change,
  };
}

/** A controller of home-1, whose password is its id. */
export async function controller(
  name: string,
  change: Partial<ControllerPrincipal> = {},
): Promise<ControllerPrincipal> {
  const id = `${name}@home-1`;
  return {
    kind: 'controller',
    id,
    homeId: 'home-1',
    gatewayId: 'gw-1',
    role: 'administrator',
    password: await hashPassword(id),
    secret: id,
    ...change,
  };
}

export function activation(id: string, activationCode: string, lastsMs = 900_000): ActivationPrincipal {
  return { kind: 'activation', id, activationCode, expiresAtMs: Date.now() + lastsMs };
}
