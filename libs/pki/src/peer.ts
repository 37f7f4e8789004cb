import type { EventEmitter } from 'node:events';
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { namesAllHosts } from './certificate.js';
import { type ChainPurpose, verifyChain } from './chain.js';
import { toPem } from './pem.js';

export interface PeerRequest {
  /** PEM of the CAs that are trusted. */
  readonly trustAnchors: readonly string[];
  readonly purpose: Exclude<ChainPurpose, 'any'>;
  /** Unix time in milliseconds. */
  readonly nowMs: number;
}

/** OpenSSL's words for dates that do not fit the system's clock. */
const faultsOfDates = new Set(['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']);
const words = {
  unreadable: 'CERT_REJECTED',
  no_trusted_issuer: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  not_yet_valid: 'CERT_NOT_YET_VALID',
  expired: 'CERT_HAS_EXPIRED',
  wrong_purpose: 'INVALID_PURPOSE',
  unknown_critical_extension: 'UNHANDLED_CRITICAL_EXTENSION',
} as const;
const longestChain = 5;

/**
 * Why the other side's certificate is not to be trusted, in OpenSSL's words; undefined if it is, or if there is none. OpenSSL
 * looks at dates by the system's clock, and with a fault of dates says nothing of any other: then, and only then, the whole
 * chain is judged anew, by `nowMs`. The handshake is to be one with `rejectUnauthorized: false`, and has to be over. Whether the
 * certificate names the right host is not looked at; a CA's name constraints are not either, when dates were at fault.
 */
export function peerFault(socket: TLSSocket, { trustAnchors, purpose, nowMs }: PeerRequest): string | undefined {
  if (socket.authorized) return undefined;
  // Typed as an Error, and the error's code in fact.
  const error: unknown = socket.authorizationError;
  const fault = typeof error === 'string' ? error : error instanceof Error ? error.message : 'not authorized';
  if (!faultsOfDates.has(fault)) return fault;
  const [certificate, ...chain] = shownBy(socket);
  if (certificate === undefined) return fault;
  const verdict = verifyChain({
    certificate,
    chain,
    trustAnchors,
    nowMs,
    purpose,
  });
  return verdict.valid ? undefined : words[verdict.reason];
}

/** As {@link peerFault}, of a server that has to be called `host`, a name or an IP address. */
export function serverFault(
  socket: TLSSocket,
  host: string,
  request: Omit<PeerRequest, 'purpose'>,
): string | undefined {
  if (socket.authorized) return undefined;
  const fault = peerFault(socket, { ...request, purpose: 'server' });
  if (fault !== undefined) return fault;
  // OpenSSL has said nothing of its name either.
  const [certificate] = shownBy(socket);
  return certificate && namesAllHosts(certificate, [host]) ? undefined : 'ERR_TLS_CERT_ALTNAME_INVALID';
}

const trustedClients = new WeakSet<TLSSocket>();

/**
 * Ends connections of clients that are not to be trusted, before anything of what they say is read: what
 * `rejectUnauthorized` would do, for a server that has it off.
 */
export function refuseUntrustedClients(server: EventEmitter, request: () => Omit<PeerRequest, 'purpose'>): void {
  server.prependListener('secureConnection', (socket: unknown) => {
    if (!(socket instanceof TLSSocket)) return;
    const fault = peerFault(socket, { ...request(), purpose: 'client' });
    if (fault === undefined) trustedClients.add(socket);
    else socket.destroy();
  });
}

/** Whether {@link refuseUntrustedClients} has let this connection pass. */
export function isTrustedClient(socket: TLSSocket): boolean {
  return trustedClients.has(socket);
}

/**
 * PEM of the other side's certificate and of those that it has sent with it. Not by `getPeerX509Certificate`, which at the
 * client's end gives another one of them at each call (Node.js 24).
 */
function shownBy(socket: TLSSocket): string[] {
  const shown: string[] = [];
  // Typed as always there; an empty object without a certificate, null once the socket is gone.
  let next: Partial<DetailedPeerCertificate> | null | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && shown.length < longestChain) {
    const pem = toPem('CERTIFICATE', next.raw);
    // A root is its own issuer.
    if (shown.includes(pem)) break;
    shown.push(pem);
    next = next.issuerCertificate;
  }
  return shown;
}
