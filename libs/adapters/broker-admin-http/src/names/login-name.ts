import { maxUsernameLength, type ServiceName, serviceNames } from '@mqtt2go/access';

/** Who a broker says that a connection is. */
export type Login =
  | { readonly kind: 'device'; readonly id: string; readonly serialNumber: string }
  | { readonly kind: 'service'; readonly id: ServiceName }
  | { readonly kind: 'controller'; readonly id: string };

/** The second URI in the certificates of devices and services, see libs/pki. */
const certificateUri = /^urn:mqtt2go:(device|service):([A-Za-z0-9_.-]{1,64}):([0-9A-F]{1,64})$/;
const userName = /^[A-Za-z0-9_.@-]+$/;

/**
 * Reads the name that a connection has at the broker. A certificate's name tells what its holder is, and holds colons,
 * which no user name does: a device called as a service is, or as a user, is still a device.
 */
export function readLoginName(name: string): Login | undefined {
  const [, kind, id = '', serialNumber = ''] = certificateUri.exec(name) ?? [];
  if (kind === 'device') return { kind, id, serialNumber: normalSerial(serialNumber) };
  if (kind === 'service') {
    const service = serviceNames.find((known) => known === id);
    return service && { kind, id: service };
  }
  return name.length <= maxUsernameLength && userName.test(name) ? { kind: 'controller', id: name } : undefined;
}

/** The name of a device's connection that came with this certificate. */
export function deviceLoginName(deviceId: string, serialNumber: string): string {
  return `urn:mqtt2go:device:${deviceId}:${serialNumber}`;
}

/** Serial numbers are compared as numbers: some writers put a zero byte in front. */
export function normalSerial(serialNumber: string): string {
  return serialNumber.toUpperCase().replace(/^0+(?=.)/, '');
}

const maxClientIdLength = 192;

/**
 * True if the client id is one that this login may use. A session belongs to whoever knows its client id, so ids are
 * tied to names, and in a way that no two names share one: a device's id is the whole of it, a user's and a service's
 * begins with a name that can be no device's, for the `@`, `/` or `:` in it.
 */
export function ownsClientId(login: Login, clientId: string): boolean {
  if (clientId.length > maxClientIdLength || /\p{Cc}/u.test(clientId)) return false;
  switch (login.kind) {
    case 'device':
      return clientId === login.id;
    case 'controller':
      return clientId.startsWith(`${login.id}/`) || (clientId === login.id && login.id.includes('@'));
    case 'service':
      return clientId === serviceClientId(login.id) || clientId.startsWith(`${serviceClientId(login.id)}-`);
  }
}

/** What the client ids of a service begin with, see its links in libs/messaging. */
function serviceClientId(service: ServiceName): string {
  return `service:${service}`;
}
