import 'reflect-metadata';
import { X509Certificate } from '@peculiar/x509';
import type { Der } from './der.js';

/** DER Name of a certificate's subject (PEM), byte for byte, so that what it issues chains by name. */
export function subjectOf(certificate: string): Der {
  return new Uint8Array(new X509Certificate(certificate).subjectName.toArrayBuffer());
}

/** The bits of the key itself inside a DER SubjectPublicKeyInfo: what RFC 5280 and 7093 hash. */
export function publicKeyBits(spki: Uint8Array): Uint8Array {
  const outer = contentStart(spki, 0);
  const bits = contentStart(spki, endOfValue(spki, outer));
  // The first content octet of a BIT STRING tells the unused bits, which a key has none of.
  return spki.subarray(bits + 1);
}

function contentStart(der: Uint8Array, at: number): number {
  const first = der[at + 1] ?? 0;
  return at + 2 + (first < 0x80 ? 0 : first & 0x7f);
}

function endOfValue(der: Uint8Array, at: number): number {
  const start = contentStart(der, at);
  let length = der[at + 1] ?? 0;
  if (length >= 0x80) {
    length = 0;
    for (let i = at + 2; i < start; i++) length = length * 256 + (der[i] ?? 0);
  }
  return start + length;
}
