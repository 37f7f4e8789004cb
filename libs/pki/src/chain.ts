import { X509Certificate } from 'node:crypto';

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

interface Link {
  readonly x509: X509Certificate;
  readonly extensions: ReadonlyMap<string, Extension>;
}

interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

const maximumDepth = 5;
const purposes = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' } as const;
/** DER of the OIDs 2.5.29.n, in hex. */
const basicConstraints = '551d13';
const keyUsage = '551d0f';
const subjectAltName = '551d11';
const extendedKeyUsage = '551d25';
const understood = new Set([basicConstraints, keyUsage, subjectAltName, extendedKeyUsage]);

/**
 * Looks for a path from a certificate to a trust anchor and judges it: signatures, dates, CA flags, path lengths, key
 * usage, critical extensions, purpose (RFC 5280 6.1, without policies and name constraints, which are refused when
 * critical and else left to TLS). By OpenSSL, which whoever speaks TLS has anyway.
 */
export function verifyChain(request: ChainRequest): ChainVerdict {
  let leaf: Link;
  let anchors: Link[];
  let others: Link[];
  try {
    leaf = read(request.certificate);
    anchors = request.trustAnchors.map(read);
    others = (request.chain ?? []).map(read);
  } catch {
    return { valid: false, reason: 'unreadable' };
  }
  const path = findPath([leaf], anchors, others);
  if (path === undefined) return { valid: false, reason: 'no_trusted_issuer' };
  for (const link of path) {
    const fault = faultOf(link, request.nowMs);
    if (fault !== undefined) return { valid: false, reason: fault };
  }
  if (!serves(leaf, request.purpose ?? 'any')) return { valid: false, reason: 'wrong_purpose' };
  return { valid: true, path: path.map(({ x509 }) => x509.toString()) };
}

/**
 * True for a CA below which there can be no other (path length 0, RFC 5280 4.2.1.9); PEM.
 * @throws TypeError
 */
export function issuesNoAuthorities(certificate: string): boolean {
  const link = read(certificate);
  return link.x509.ca && pathLength(link) === 0;
}

/** `path` grows from the leaf; each certificate in it is signed by the next. */
function findPath(
  path: readonly Link[],
  anchors: readonly Link[],
  others: readonly Link[],
): readonly Link[] | undefined {
  const last = path.at(-1);
  if (last === undefined || path.length > maximumDepth) return undefined;
  for (const anchor of anchors) {
    if (same(anchor, last)) return path;
    if (issued(anchor, last, path.length)) return [...path, anchor];
  }
  for (const other of others) {
    if (path.some((member) => same(member, other)) || !issued(other, last, path.length)) continue;
    const found = findPath([...path, other], anchors, others);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** @param position how many certificates stand below the issuer: the end entity and the CAs between */
function issued(issuer: Link, subject: Link, position: number): boolean {
  // `ca` holds for certificates of version 3 with the CA flag and, if they limit the key's usage, the right to sign others.
  if (!issuer.x509.ca || !subject.x509.checkIssued(issuer.x509)) return false;
  const longest = pathLength(issuer);
  if (longest !== undefined && !(position - 1 <= longest)) return false;
  return subject.x509.verify(issuer.x509.publicKey);
}

function faultOf({ x509, extensions }: Link, nowMs: number | undefined): ChainFault | undefined {
  for (const [type, { critical }] of extensions) {
    if (critical && !understood.has(type)) return 'unknown_critical_extension';
  }
  if (nowMs === undefined) return undefined;
  if (nowMs < x509.validFromDate.getTime()) return 'not_yet_valid';
  return nowMs > x509.validToDate.getTime() ? 'expired' : undefined;
}

function serves(leaf: Link, purpose: ChainPurpose): boolean {
  if (purpose === 'any' || !leaf.extensions.has(extendedKeyUsage)) return true;
  // `keyUsage` is Node.js's name for the extended key usage.
  return leaf.x509.keyUsage?.includes(purposes[purpose]) === true;
}

function same(one: Link, other: Link): boolean {
  return one.x509.raw.equals(other.x509.raw);
}

function read(pem: string): Link {
  const x509 = new X509Certificate(pem);
  return { x509, extensions: extensionsOf(x509.raw) };
}

/** RFC 5280 4.2.1.9: SEQUENCE { cA BOOLEAN, pathLenConstraint INTEGER OPTIONAL }; not a number if it makes no sense. */
function pathLength({ extensions }: Link): number | undefined {
  const extension = extensions.get(basicConstraints);
  const [constraints] = extension === undefined ? [] : elements(extension.value);
  const length = constraints && elements(constraints.content).find(({ tag }) => tag === 0x02);
  return length && Number.parseInt(length.content.toString('hex'), 16);
}

/** The extensions that Node.js does not tell of, by the DER of their OIDs in hex. OpenSSL has read the certificate before. */
function extensionsOf(certificate: Buffer): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>();
  const [whole] = elements(certificate);
  const [signed] = elements(inside(whole));
  const wrapped = elements(inside(signed)).find(({ tag }) => tag === 0xa3);
  if (wrapped === undefined) return found;
  const [list] = elements(wrapped.content);
  for (const { content } of elements(inside(list))) {
    const parts = elements(content);
    const type = inside(parts[0]).toString('hex');
    if (found.has(type)) throw new TypeError('an extension is there twice');
    const critical = parts.some(({ tag, content: flag }) => tag === 0x01 && flag[0] !== 0);
    found.set(type, { critical, value: inside(parts.at(-1)) });
  }
  return found;
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** The DER elements that stand one after the other. @throws TypeError */
function elements(der: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < der.length; ) {
    const tag = der[at] ?? 0;
    const first = der[at + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const from = at + 2 + lengthBytes;
    // 0x80 is BER's indefinite length.
    if (first === 0x80 || lengthBytes > 4 || from > der.length) throw new TypeError('not DER');
    const length = lengthBytes === 0 ? first : der.readUIntBE(at + 2, lengthBytes);
    at = from + length;
    if (at > der.length) throw new TypeError('not DER');
    found.push({ tag, content: der.subarray(from, at) });
  }
  return found;
}

function inside(element: Element | undefined): Buffer {
  if (element === undefined) throw new TypeError('not a certificate');
  return element.content;
}
