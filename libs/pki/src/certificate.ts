import { X509Certificate as NodeCertificate } from 'node:crypto';
import { isIP } from 'node:net';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { KeyObject } from './keys.js';

/** What the platform wants to know of a certificate. */
export interface CertificateDetails {
  readonly commonName: string | undefined;
  /** The subject's organizational unit: the device type, in a pre-loaded certificate. */
  readonly organizationalUnit: string | undefined;
  /** Upper-case hex. */
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isAuthority: boolean;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly publicKey: KeyObject;
  /** Lower-case hex SHA-256 of the certificate. */
  readonly fingerprint: string;
}

/**
 * Reads a certificate, PEM or DER.
 * @throws Mqtt2goError `malformed_message`
 */
export function readCertificate(certificate: string | Uint8Array): CertificateDetails {
  const parsed = parseCertificate(certificate);
  const alternative = (parsed.subjectAltName ?? '').split(', ');
  const named = (prefix: string) =>
    alternative.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return {
    commonName: subjectField(parsed, 'CN'),
    organizationalUnit: subjectField(parsed, 'OU'),
    serialNumber: parsed.serialNumber,
    notBeforeMs: parsed.validFromDate.getTime(),
    notAfterMs: parsed.validToDate.getTime(),
    isAuthority: parsed.ca,
    dnsNames: named('DNS:'),
    ipAddresses: named('IP Address:'),
    publicKey: parsed.publicKey,
    fingerprint: fingerprintOf(parsed),
  };
}

/**
 * Lower-case hex SHA-256 of a certificate, PEM or DER.
 * @throws Mqtt2goError `malformed_message`
 */
export function certificateFingerprint(certificate: string | Uint8Array): string {
  return fingerprintOf(parseCertificate(certificate));
}

/** True if the private key is that of the certificate. */
export function isKeyOf(privateKey: KeyObject, certificate: string): boolean {
  return parseCertificate(certificate).checkPrivateKey(privateKey);
}

/** True if the certificate (the first in the text) was signed by the CA. */
export function isIssuedBy(certificate: string, authority: string): boolean {
  return parseCertificate(certificate).verify(parseCertificate(authority).publicKey);
}

/** True if a client that uses any of the host names or IP addresses will find it in the certificate. */
export function namesAllHosts(certificate: string, hosts: readonly string[]): boolean {
  const parsed = parseCertificate(certificate);
  return hosts.every((host) => (isIP(host) === 0 ? parsed.checkHost(host) : parsed.checkIP(host)) !== undefined);
}

function parseCertificate(certificate: string | Uint8Array): NodeCertificate {
  try {
    return new NodeCertificate(certificate);
  } catch (cause) {
    throw new Mqtt2goError('malformed_message', 'The certificate cannot be read.', { cause });
  }
}

function fingerprintOf(parsed: NodeCertificate): string {
  return parsed.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** One attribute of the subject; `undefined` unless it is there exactly once. */
function subjectField(parsed: NodeCertificate, field: string): string | undefined {
  const value: unknown = Reflect.get(parsed.toLegacyObject().subject, field);
  return typeof value === 'string' ? value : undefined;
}
