import { createHash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import {
  bitString,
  context,
  contextPrimitive,
  type Der,
  derTrue,
  hexToBytes,
  ia5,
  integer,
  octetString,
  oid,
  sequence,
} from './der.js';

function extension(type: Der, critical: boolean, value: Der): Der {
  return critical ? sequence(type, derTrue, octetString(value)) : sequence(type, octetString(value));
}

const subjectKeyIdentifierOid = oid('2.5.29.14');
const keyUsageOid = oid('2.5.29.15');
const subjectAltNameOid = oid('2.5.29.17');
const basicConstraintsOid = oid('2.5.29.19');
const crlNumberOid = oid('2.5.29.20');
const authorityKeyIdentifierOid = oid('2.5.29.35');
const extendedKeyUsageOid = oid('2.5.29.37');

const serverAuth = oid('1.3.6.1.5.5.7.3.1');
const clientAuth = oid('1.3.6.1.5.5.7.3.2');

/** RFC 5280 4.2.1.9: critical in a CA's certificate. */
export function authorityConstraints(pathLength: number | undefined): Der {
  const value = pathLength === undefined ? sequence(derTrue) : sequence(derTrue, integer(pathLength));
  return extension(basicConstraintsOid, true, value);
}

/** cA is FALSE, which DER leaves out as the default. */
export const endEntityConstraints: Der = extension(basicConstraintsOid, true, sequence());
export const authorityUsage: Der = extension(keyUsageOid, true, bitString(new Uint8Array([0b0000_0110]), 1));
export const signatureUsage: Der = extension(keyUsageOid, true, bitString(new Uint8Array([0b1000_0000]), 7));
export const clientPurpose: Der = extension(extendedKeyUsageOid, false, sequence(clientAuth));
export const serverPurpose: Der = extension(extendedKeyUsageOid, false, sequence(serverAuth));
export const servicePurpose: Der = extension(extendedKeyUsageOid, false, sequence(serverAuth, clientAuth));

/** RFC 7093 2 (1): the leftmost 160 bits of the SHA-256 of the public key's bits. */
export function keyIdentifier(publicKeyBits: Uint8Array): Der {
  return new Uint8Array(createHash('sha256').update(publicKeyBits).digest().subarray(0, 20));
}

export function subjectKeyIdentifier(identifier: Uint8Array): Der {
  return extension(subjectKeyIdentifierOid, false, octetString(identifier));
}

export function authorityKeyIdentifier(identifier: Uint8Array): Der {
  return extension(authorityKeyIdentifierOid, false, sequence(contextPrimitive(0, identifier)));
}

export interface AlternativeNames {
  readonly dnsNames?: readonly string[];
  /** IPv4 or IPv6, without a zone. */
  readonly ipAddresses?: readonly string[];
  readonly uris?: readonly string[];
}

/** Not critical, because the subject is never empty (RFC 5280 4.2.1.6). */
export function subjectAltName(names: AlternativeNames): Der {
  return extension(
    subjectAltNameOid,
    false,
    sequence(
      ...(names.dnsNames ?? []).map((name) => contextPrimitive(2, ia5(name))),
      ...(names.uris ?? []).map((uri) => contextPrimitive(6, ia5(uri))),
      ...(names.ipAddresses ?? []).map((address) => contextPrimitive(7, addressBytes(address))),
    ),
  );
}

export function crlNumber(number: number): Der {
  return extension(crlNumberOid, false, integer(number));
}

/** The list of extensions where a certificate has it: `[3] EXPLICIT`. */
export function certificateExtensions(...extensions: readonly Der[]): Der {
  return context(3, sequence(...extensions));
}

/** 4 or 16 bytes. */
export function addressBytes(address: string): Der {
  if (isIPv4(address)) return new Uint8Array(address.split('.').map(Number));
  if (!isIPv6(address)) throw new RangeError(`not an IP address: ${address}`);
  // The URL parser brings an address with embedded IPv4 or `::` into one form of hexadecimal groups.
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0');
  return hexToBytes([...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join(''));
}
