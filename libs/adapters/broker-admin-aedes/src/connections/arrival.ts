import type { AccessRules, ServiceName } from '@mqtt2go/access';
import type { PeerCertificate, TLSSocket } from 'node:tls';

/** A client certificate. */
export interface PresentedCertificate {
  /** Undefined unless there is exactly one. */
  readonly commonName: string | undefined;
  /** All of them: a gateway's CA puts the home there, and only the home. */
  readonly organizationalUnits: readonly string[];
  /** Upper-case hex without leading zeros, see {@link normalSerial}. */
  readonly serialNumber: string;
  readonly fingerprint256: string;
  readonly validToMs: number;
  /** Why it is not trusted, in OpenSSL's words; undefined if it is. */
  readonly distrust: string | undefined;
}

/** How a connection came in, before it has said anything. */
export interface Arrival {
  readonly door: 'tls' | 'websocket' | 'services' | 'in-process';
  /** For logs. */
  readonly from: string;
  readonly certificate?: PresentedCertificate;
  /** In-process only: who opened it. */
  readonly service?: ServiceName;
  /** In-process only: what it may do, where that is not what the service may. */
  readonly rules?: AccessRules;
}

/**
 * The certificate that the client has proved to hold, or undefined if it showed none.
 * @param distrust why it is not trusted, if it is not
 */
export function presentedCertificate(
  socket: TLSSocket,
  distrust: string | undefined,
): PresentedCertificate | undefined {
  // Typed as always there; null once the socket is gone, an empty object without a certificate.
  const certificate: PeerCertificate | Record<string, never> | null = socket.getPeerCertificate();
  if (!certificate?.serialNumber) return undefined;
  const commonName: unknown = certificate.subject?.CN;
  // Typed as one; with several in a subject Node.js gives an array.
  const unit: unknown = certificate.subject?.OU;
  return {
    commonName: typeof commonName === 'string' ? commonName : undefined,
    organizationalUnits: unit === undefined ? [] : [unit].flat().map(String),
    serialNumber: normalSerial(certificate.serialNumber),
    fingerprint256: certificate.fingerprint256,
    validToMs: Date.parse(certificate.valid_to),
    distrust,
  };
}

/** Serial numbers are compared as numbers: some writers put a zero byte in front, some use lower case. */
export function normalSerial(serialNumber: string): string {
  return serialNumber.toUpperCase().replace(/^0+(?=.)/, '');
}
