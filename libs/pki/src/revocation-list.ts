import {
  bitString,
  context,
  type Der,
  hexToBytes,
  integer,
  octetString,
  oid,
  sequence,
  tagged,
  time,
  unsignedInteger,
} from './der.js';
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

/** DER CertificateList, version 2. */
export function revocationListDer(
  signer: Signer,
  issuer: Der,
  authorityKeyIdentifier: Der,
  list: { entries: readonly CrlEntry[]; number: number; thisUpdateMs: number; nextUpdateMs: number },
): Der {
  const toBeSigned = sequence(
    integer(1),
    signer.algorithm,
    issuer,
    time(list.thisUpdateMs),
    time(list.nextUpdateMs),
    // RFC 5280 5.1.2.6: no empty list of revoked certificates.
    ...(list.entries.length === 0 ? [] : [sequence(...list.entries.map(entryDer))]),
    context(0, sequence(authorityKeyIdentifier, crlNumber(list.number))),
  );
  return sequence(toBeSigned, signer.algorithm, bitString(signer.sign(toBeSigned)));
}

function entryDer(entry: CrlEntry): Der {
  const parts = [unsignedInteger(hexToBytes(entry.serialNumber)), time(entry.revokedAtMs)];
  if (entry.reason !== 'unspecified') {
    // RFC 5280 5.3.1: unspecified is told by leaving the code out.
    const code = tagged(0x0a, new Uint8Array([revocationReasons[entry.reason]]));
    parts.push(sequence(sequence(reasonCode, octetString(code))));
  }
  return sequence(...parts);
}
