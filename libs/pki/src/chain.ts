import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate,
} from '@peculiar/x509';

export type ChainPurpose = 'client' | 'server' | 'any';

export type ChainVerdict =
  | { readonly valid: true /** PEM, from the certificate to the trust anchor. */; readonly path: readonly string[] }
  | { readonly valid: false; readonly reason: ChainFault };

export type ChainFault =
  | 'unreadable'
  | 'no_trusted_issuer'
  | 'not_yet_valid'
  | 'expired'
  | 'wrong_purpose'
  | 'unknown_critical_extension';

export interface ChainRequest {
  /** PEM. */
  readonly certificate: string;
  /** PEM, in any order. */
  readonly chain?: readonly string[];
  /** PEM of the CAs that are trusted, root or not. */
  readonly trustAnchors: readonly string[];
  /** Unix time in milliseconds; `undefined` leaves the dates aside, for a device that has no clock. */
  readonly nowMs: number | undefined;
  readonly purpose?: ChainPurpose;
}

const maximumDepth = 5;
const purposes = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' } as const;
const understood = new Set(['2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.37']);

/**
 * Looks for a path from a certificate to a trust anchor (RFC 5280 6.1, without policies and name constraints, which are refused
 * when critical) and judges it: signatures, dates, CA flags, path lengths, key usage, purpose. Runs in the browser too.
 */
export async function verifyChain(request: ChainRequest): Promise<ChainVerdict> {
  let leaf: X509Certificate;
  let anchors: X509Certificate[];
  let others: X509Certificate[];
  try {
    leaf = new X509Certificate(request.certificate);
    anchors = request.trustAnchors.map((pem) => new X509Certificate(pem));
    others = (request.chain ?? []).map((pem) => new X509Certificate(pem));
  } catch {
    return { valid: false, reason: 'unreadable' };
  }
  const path = await findPath([leaf], anchors, others);
  if (path === undefined) return { valid: false, reason: 'no_trusted_issuer' };
  const fault = path.map((certificate) => faultOf(certificate, request.nowMs)).find((found) => found !== undefined);
  if (fault !== undefined) return { valid: false, reason: fault };
  if (!serves(leaf, request.purpose ?? 'any')) return { valid: false, reason: 'wrong_purpose' };
  return { valid: true, path: path.map((certificate) => certificate.toString('pem')) };
}

/** `path` grows from the leaf; each certificate in it is signed by the next. */
async function findPath(
  path: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  others: readonly X509Certificate[],
): Promise<X509Certificate[] | undefined> {
  const last = path.at(-1);
  if (last === undefined || path.length > maximumDepth) return undefined;
  for (const anchor of anchors) {
    if (anchor.equal(last)) return [...path];
    if (await issued(anchor, last, path.length)) return [...path, anchor];
  }
  for (const other of others) {
    if (path.some((member) => member.equal(other)) || !(await issued(other, last, path.length))) continue;
    const found = await findPath([...path, other], anchors, others);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** @param position how many certificates stand below the issuer: the end entity and the CAs between */
async function issued(issuer: X509Certificate, subject: X509Certificate, position: number): Promise<boolean> {
  if (issuer.subject !== subject.issuer) return false;
  const constraints = issuer.getExtension(BasicConstraintsExtension);
  if (constraints?.ca !== true) return false;
  if (constraints.pathLength !== undefined && position - 1 > constraints.pathLength) return false;
  const usage = issuer.getExtension(KeyUsagesExtension);
  if (usage !== null && (usage.usages & KeyUsageFlags.keyCertSign) === 0) return false;
  return subject.verify({ publicKey: issuer.publicKey, signatureOnly: true }).catch(() => false);
}

function faultOf(certificate: X509Certificate, nowMs: number | undefined): ChainFault | undefined {
  if (certificate.extensions.some(({ critical, type }) => critical && !understood.has(type))) {
    return 'unknown_critical_extension';
  }
  if (nowMs === undefined) return undefined;
  if (nowMs < certificate.notBefore.getTime()) return 'not_yet_valid';
  return nowMs > certificate.notAfter.getTime() ? 'expired' : undefined;
}

function serves(leaf: X509Certificate, purpose: ChainPurpose): boolean {
  if (purpose === 'any') return true;
  const allowed = leaf.getExtension(ExtendedKeyUsageExtension);
  return allowed === null || allowed.usages.includes(purposes[purpose]);
}
