import { type BaseBlock, Enumerated, Integer, OctetString } from 'asn1js';
import { type Der, type Encoded, encoded, explicit, oid, sequence, serialNumber, signed, time } from './asn1.js';
import { crlNumber } from './extensions.js';
import type { Signer } from './keys.js';

/** RFC 5280 5.3.1, those that the platform uses. */
export const revocationReasons = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;
export type RevocationReason = keyof typeof revocationReasons;

export interface CrlEntry {
  /** Hex. */
  readonly serialNumber: string;
  /** Unix time in milliseconds. */
  readonly revokedAtMs: number;
  readonly reason: RevocationReason;
}

const reasonCode = oid('2.5.29.21');
const version2 = encoded(new Integer({ value: 1 }));

/** DER CertificateList, version 2. */
export function revocationListDer(
  signer: Signer,
  issuer: Encoded,
  authorityKeyIdentifier: Encoded,
  list: { entries: readonly CrlEntry[]; number: number; thisUpdateMs: number; nextUpdateMs: number },
): Der {
  const toBeSigned = sequence(
    version2,
    signer.algorithm,
    issuer,
    time(list.thisUpdateMs),
    time(list.nextUpdateMs),
    // RFC 5280 5.1.2.6: no empty list of revoked certificates.
    ...(list.entries.length === 0 ? [] : [sequence(...list.entries.map(encodeEntry))]),
    explicit(0, sequence(authorityKeyIdentifier, crlNumber(list.number))),
  );
  return signed(toBeSigned, signer);
}

function encodeEntry(entry: CrlEntry): Encoded {
  const parts: BaseBlock[] = [serialNumber(entry.serialNumber), time(entry.revokedAtMs)];
  if (entry.reason !== 'unspecified') {
    // RFC 5280 5.3.1: unspecified is told by leaving the code out.
    const code = new Enumerated({ value: revocationReasons[entry.reason] });
    parts.push(sequence(sequence(reasonCode, new OctetString({ valueHex: code.toBER() }))));
  }
  return encoded(sequence(...parts));
}
