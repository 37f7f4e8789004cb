import { createHash, X509Certificate } from 'node:crypto';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { type SubjectName, writeName } from './names.js';

/** The organization in every subject. */
export const organization = 'MQTT2GO';

/**
 * The organizational unit that stands for a home in the subjects of its devices, where its gateway issues them. A hash,
 * because X.509 compares names without regard to case and blanks, and ids of homes are told apart by case.
 */
export function homeUnit(homeId: string): string {
  return `home ${createHash('sha256').update(homeId).digest('hex').slice(0, 40)}`;
}

/**
 * The subject of a device's operational certificate as RFC 2253 writes it, and Mosquitto's `use_subject_as_username` with it.
 * @param homeId of whose gateway the certificate is; by its name constraints, that can give no subject of another home. Without it,
 *   of one that the platform itself has issued
 */
export function deviceSubject(deviceId: string, homeId?: string): string {
  return writeName(deviceName(deviceId, homeId));
}

/** The subject of a device's operational certificate; that of one from its home's gateway begins with its home. */
export function deviceName(deviceId: string, homeId?: string): SubjectName {
  return {
    ...(homeId === undefined ? { organization } : homeName(homeId)),
    commonName: deviceId,
    serialNumber: deviceId,
  };
}

/** With what the subject of each device begins whose certificate is from the CA of its home's gateway. */
export function homeName(homeId: string): SubjectName {
  return { organization, organizationalUnit: homeUnit(homeId) };
}

const homeUri = /(?:^|, )URI:urn:mqtt2go:home:([A-Za-z0-9_.-]{1,64})(?=$|, )/;

/** The home that a gateway's CA is confined to; undefined for any other CA. @param certificate PEM */
export function homeOfAuthority(certificate: string): string | undefined {
  return homeUri.exec(new X509Certificate(certificate).subjectAltName ?? '')?.[1];
}

/** What servers of a gateway's CA may be called by; RFC 6762's names and this machine. */
export const localDomains = ['local', 'localhost'];

const networks = [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['127.0.0.0', 8],
  ['fc00::', 7],
  ['fe80::', 10],
  ['::1', 128],
] as const;

/** Address and mask, in hex. */
export const localNetworks = networks.map(([address, bits]) => `${bytesOf(address)}${maskOf(address, bits)}`);

const local = new BlockList();
for (const [address, bits] of networks) local.addSubnet(address, bits, isIPv6(address) ? 'ipv6' : 'ipv4');

/** True for what a gateway's CA may put into a server's certificate: `.local` names and addresses of private networks. */
export function isLocalHost(host: string): boolean {
  const family = isIP(host);
  if (family !== 0) return local.check(host, family === 6 ? 'ipv6' : 'ipv4');
  const name = host.toLowerCase();
  return localDomains.some((domain) => name === domain || name.endsWith(`.${domain}`));
}

function bytesOf(address: string): string {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number)).toString('hex');
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string): string =>
    text
      .split(':')
      .filter(Boolean)
      .map((group) => group.padStart(4, '0'))
      .join('');
  return `${groups(head)}${groups(tail).padStart(32 - groups(head).length, '0')}`;
}

function maskOf(address: string, bits: number): string {
  const total = isIPv6(address) ? 128 : 32;
  const ones = `${'1'.repeat(bits)}${'0'.repeat(total - bits)}`;
  return Array.from({ length: total / 4 }, (_, at) =>
    Number.parseInt(ones.slice(at * 4, at * 4 + 4), 2).toString(16),
  ).join('');
}
