import 'reflect-metadata';
import { X509Certificate } from '@peculiar/x509';
import { BitString, fromBER, Sequence } from 'asn1js';
import { Encoded } from './asn1.js';

/** The Name of a certificate's subject (PEM), byte for byte, so that what it issues chains by name. */
export function subjectOf(certificate: string): Encoded {
  return new Encoded(new X509Certificate(certificate).subjectName.toArrayBuffer());
}

/** The bits of the key itself inside a DER SubjectPublicKeyInfo: what RFC 5280 and 7093 hash. */
export function publicKeyBits(spki: Uint8Array): Uint8Array {
  const { result } = fromBER(spki);
  const bits = result instanceof Sequence ? result.valueBlock.value[1] : undefined;
  if (!(bits instanceof BitString)) throw new TypeError('not a SubjectPublicKeyInfo');
  return bits.valueBlock.valueHexView;
}
