import 'reflect-metadata';
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import { type BaseBlock, Integer, OctetString } from 'asn1js';
import { Encoded, explicit, implicit, oid, sequence } from './asn1.js';

const subjectKeyIdentifierOid = oid('2.5.29.14');
const subjectAltNameOid = oid('2.5.29.17');
const crlNumberOid = oid('2.5.29.20');
const nameConstraintsOid = oid('2.5.29.30');

function extension(type: Encoded, value: BaseBlock): BaseBlock {
  return sequence(type, new OctetString({ valueHex: value.toBER() }));
}

/** RFC 5280 4.2.1.9: critical in a CA's certificate. */
export function authorityConstraints(pathLength: number | undefined): Encoded {
  return new Encoded(new BasicConstraintsExtension(true, pathLength, true).rawData);
}

export const endEntityConstraints = new Encoded(new BasicConstraintsExtension(false, undefined, true).rawData);
export const authorityUsage = new Encoded(
  new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true).rawData,
);
export const signatureUsage = new Encoded(new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true).rawData);

const { clientAuth, serverAuth } = ExtendedKeyUsage;
export const clientPurpose = new Encoded(new ExtendedKeyUsageExtension([clientAuth]).rawData);
export const serverPurpose = new Encoded(new ExtendedKeyUsageExtension([serverAuth]).rawData);
export const servicePurpose = new Encoded(new ExtendedKeyUsageExtension([serverAuth, clientAuth]).rawData);

/** RFC 7093 2 (1): the leftmost 160 bits of the SHA-256 of the public key's bits. */
export function keyIdentifier(publicKeyBits: Uint8Array): Buffer {
  return createHash('sha256').update(publicKeyBits).digest().subarray(0, 20);
}

export function subjectKeyIdentifier(identifier: Uint8Array): BaseBlock {
  return extension(subjectKeyIdentifierOid, new OctetString({ valueHex: identifier }));
}

export function authorityKeyIdentifier(identifier: Buffer): Encoded {
  return new Encoded(new AuthorityKeyIdentifierExtension(identifier.toString('hex')).rawData);
}

export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  /** IPv4 or IPv6, without a zone. */
  readonly ipAddresses: readonly string[];
  readonly uris?: readonly string[];
}

/** Not critical, because the subject is never empty (RFC 5280 4.2.1.6). */
export function subjectAltName({ dnsNames, ipAddresses, uris = [] }: AlternativeNames): Encoded {
  const names = new SubjectAlternativeNameExtension([
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...ipAddresses.map((address) => ({ type: 'ip' as const, value: inGroups(address) })),
  ]);
  return new Encoded(names.rawData);
}

/** As {@link subjectAltName} with URIs only, for what is issued by the thousand. */
export function uriAltName(...uris: readonly string[]): BaseBlock {
  return extension(subjectAltNameOid, sequence(...uris.map((uri) => implicit(6, Buffer.from(uri, 'latin1')))));
}

export function crlNumber(number: number): BaseBlock {
  return extension(crlNumberOid, Integer.fromBigInt(number));
}

/** Of the names in what a CA issues, and in what is issued below it. */
export interface PermittedNames {
  /** An X.501 name: subjects have to begin with it. */
  readonly subject?: Encoded;
  /** DNS names, with all that is below them. */
  readonly domains?: readonly string[];
  /** Address and mask of IPv4 or IPv6 networks, in hex. */
  readonly networks?: readonly string[];
}

/**
 * RFC 5280 4.2.1.10, but not critical: OpenSSL minds it all the same, and the TLS of small devices, much of which knows no
 * name constraints, would else refuse the chain.
 */
export function nameConstraints({ subject, domains = [], networks = [] }: PermittedNames): BaseBlock {
  const names = [
    ...(subject === undefined ? [] : [explicit(4, subject)]),
    ...domains.map((domain) => implicit(2, Buffer.from(domain, 'latin1'))),
    ...networks.map((network) => implicit(7, Buffer.from(network, 'hex'))),
  ];
  return extension(nameConstraintsOid, sequence(explicit(0, ...names.map((name) => sequence(name)))));
}

/** The encoder takes an IPv6 address in hexadecimal groups only, without embedded IPv4: as the URL parser writes it. */
function inGroups(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address;
}
