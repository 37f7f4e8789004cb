import { isIP, type LookupFunction } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  type DetailedPeerCertificate,
  type TLSSocket,
} from 'node:tls';
import { readCertificate, splitPem, toPem, verifyChain } from '@mqtt2go/pki';
import type { DeviceClock } from '../clock.js';
import { ConnectionProblem, connectionProblem } from './connection-problem.js';

export interface SocketOptions {
  readonly host: string;
  readonly port: number;
  /** PEM; the only CA that the server's certificate may come from. */
  readonly ca: string;
  /** PEM, with the chain. */
  readonly certificate: string;
  /** PEM */
  readonly key: string;
  readonly connectTimeoutMs: number;
  readonly clock: DeviceClock;
  /** How the addresses of `host` are found; by the system's resolver if left out. */
  readonly lookup?: LookupFunction | undefined;
}

/**
 * A TLS connection to a server whose certificate is from the device's CA and for this host; nothing has been sent on it.
 * @throws ConnectionProblem; the reason of `signal`
 */
export function openTrustedSocket(options: SocketOptions, signal: AbortSignal): Promise<TLSSocket> {
  const { host, port, ca, certificate, key, connectTimeoutMs, lookup } = options;
  const address = `${host}:${port}`;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const to: ConnectionOptions = {
      host,
      port,
      ca,
      cert: certificate,
      key,
      lookup,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      // Judged below, before a byte is sent: the system's clock is not always to be believed.
      rejectUnauthorized: false,
    };
    const socket = connect(to);
    // Small packets in turn: with Nagle's algorithm each waits for a delayed acknowledgement, 40 ms.
    socket.setNoDelay(true);
    const settle = (act: () => void): void => {
      clearTimeout(late);
      signal.removeEventListener('abort', aborted);
      socket.off('error', failed);
      act();
    };
    const refuse = (problem: unknown): void =>
      settle(() => {
        // It may fail once more while it goes.
        socket.on('error', () => undefined);
        socket.destroy();
        reject(problem);
      });
    const failed = (error: Error): void => refuse(connectionProblem(error, address));
    const aborted = (): void => refuse(signal.reason);
    const late = setTimeout(
      () => refuse(new ConnectionProblem('unreachable', `Nobody answers at ${address}.`)),
      connectTimeoutMs,
    );
    socket.once('error', failed);
    signal.addEventListener('abort', aborted, { once: true });
    socket.once('secureConnect', () => {
      const fault = faultOf(socket, options);
      if (fault === undefined) settle(() => resolve(socket));
      else refuse(connectionProblem(fault, address));
    });
  });
}

const datesOnly: ReadonlySet<string> = new Set(['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']);

/** What is wrong with the server's certificate: OpenSSL's say, except on dates that the device knows better. */
function faultOf(socket: TLSSocket, options: SocketOptions): Error | undefined {
  if (socket.authorized) return undefined;
  const fault: unknown = socket.authorizationError;
  const code = fault instanceof Error && 'code' in fault ? fault.code : fault;
  // OpenSSL tells one fault of several: all but the dates is looked at again.
  if (typeof code === 'string' && datesOnly.has(code) && holdsApartFromSystemClock(socket, options)) return undefined;
  return fault instanceof Error ? fault : withCode(typeof code === 'string' ? code : 'CERT_UNTRUSTED');
}

/**
 * Judges chain, purpose and host name once more, and the dates by the time that the device knows. If it knows none, a
 * certificate that ended before the device's own was issued is over in any case.
 */
function holdsApartFromSystemClock(socket: TLSSocket, { host, ca, certificate: own, clock }: SocketOptions): boolean {
  const peer = socket.getPeerCertificate(true);
  if (checkServerIdentity(host, peer) !== undefined) return false;
  const [certificate, ...chain] = chainOf(peer);
  if (certificate === undefined) return false;
  const { notBeforeMs } = readCertificate(own);
  const nowMs = clock.now(notBeforeMs);
  if (nowMs === undefined && readCertificate(certificate).notAfterMs < notBeforeMs) return false;
  const trustAnchors = splitPem(ca).map(({ pem }) => pem);
  return verifyChain({ certificate, chain, trustAnchors, nowMs, purpose: 'server' }).valid;
}

const longestChain = 10;

/** PEM, from the server's own up; a root is its own issuer. */
function chainOf(peer: DetailedPeerCertificate): string[] {
  const chain: string[] = [];
  let next: DetailedPeerCertificate | undefined = peer;
  while (next?.raw !== undefined && chain.length < longestChain) {
    chain.push(toPem('CERTIFICATE', next.raw));
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}
