import type { EventEmitter } from 'node:events';
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { namesAllHosts, readCertificate } from './certificate.js';
import { type ChainPurpose, verifyChain } from './chain.js';
import { toPem } from './pem.js';

/** The time, as far as it is known. */
export interface PeerTime {
  /** Unix time in milliseconds. */
  readonly nowMs: number;
  /** It may be later than `nowMs`: then what begins later is taken, and what has ended before is not. */
  readonly isFloor?: boolean;
}

export interface PeerRequest extends PeerTime {
  /** PEM of the CAs that are trusted. */
  readonly trustAnchors: readonly string[];
  readonly purpose: Exclude<ChainPurpose, 'any'>;
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
/** Times that differ by less are the same one. */
const sameTimeMs = 60_000;

/**
 * Why the other side's certificate is not to be trusted, in OpenSSL's words; undefined if it is, or if there is none. OpenSSL
 * looks at dates by the system's clock, and with a fault of dates says nothing of most others: then, and where it finds no
 * fault by a time before the one given, the whole chain is judged anew, by that. The handshake is to be one with
 * `rejectUnauthorized: false`, and has to be over. Whether the certificate names the right host is not looked at. Name
 * constraints OpenSSL looks at after the dates, so that it tells of a fault in them.
 */
export function peerFault(socket: TLSSocket, request: PeerRequest): string | undefined {
  if (socket.authorized && request.nowMs - Date.now() <= sameTimeMs) return undefined;
  // Typed as an Error, and the error's code in fact.
  const error: unknown = socket.authorizationError;
  const fault = typeof error === 'string' ? error : error instanceof Error ? error.message : 'not authorized';
  if (!socket.authorized && !faultsOfDates.has(fault)) return fault;
  const [certificate, ...chain] = shownBy(socket);
  if (certificate === undefined) return fault;
  const { trustAnchors, purpose } = request;
  const nowMs = earliestTime(request, [certificate, ...chain]);
  const verdict = verifyChain({ certificate, chain, trustAnchors, nowMs, purpose });
  return verdict.valid ? undefined : words[verdict.reason];
}

/** As {@link peerFault}, of a server that has to be called `host`, a name or an IP address. */
export function serverFault(
  socket: TLSSocket,
  host: string,
  request: Omit<PeerRequest, 'purpose'>,
): string | undefined {
  const fault = peerFault(socket, { ...request, purpose: 'server' });
  if (fault !== undefined) return fault;
  // With a fault of dates OpenSSL says nothing of the name; in a resumed session Node.js does not look at it.
  const [certificate] = shownBy(socket);
  return certificate && namesAllHosts(certificate, [host]) ? undefined : 'ERR_TLS_CERT_ALTNAME_INVALID';
}

/** With a floor the moment from which on all that is shown is valid, if that is later. */
function earliestTime({ nowMs, isFloor = false }: PeerTime, shown: readonly string[]): number {
  return isFloor ? Math.max(nowMs, ...shown.map((each) => readCertificate(each).notBeforeMs)) : nowMs;
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
