import { type ErrorCode, Mqtt2goError } from '@mqtt2go/protocol';

/**
 * `unreachable`: nobody answers there. `refused`: the broker does not want this device, or not yet.
 * `untrusted`: the server's certificate is not from the CA that the device carries, or is not for this
 * server; nothing was said to it. `lost`: the connection broke.
 */
export type ConnectionProblemKind = 'unreachable' | 'refused' | 'untrusted' | 'lost';

const codes: Readonly<Record<ConnectionProblemKind, ErrorCode>> = {
  unreachable: 'unavailable',
  refused: 'forbidden',
  untrusted: 'server_untrusted',
  lost: 'unavailable',
};

/** Why there is no connection (any more). */
export class ConnectionProblem extends Mqtt2goError {
  override readonly name = 'ConnectionProblem';
  readonly kind: ConnectionProblemKind;

  constructor(kind: ConnectionProblemKind, detail: string, options?: ErrorOptions) {
    super(codes[kind], detail, options);
    this.kind = kind;
  }
}

/** What OpenSSL and Node say when they do not accept the server's certificate. */
const untrusted =
  /^(ERR_TLS_CERT_ALTNAME_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)/;
/** A TLS alert from the server: it does not accept the certificate of the device. */
const alert = /^ERR_SSL_(TLSV1|TLSV13|SSLV3)_ALERT_/;

/** @param error what the socket or mqtt.js reported before the connection was up */
export function connectionProblem(error: unknown, address: string): ConnectionProblem {
  if (error instanceof ConnectionProblem) return error;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const options = { cause: error };
  if (typeof code === 'number') {
    return new ConnectionProblem('refused', `The broker at ${address} refuses the device (CONNACK ${code}).`, options);
  }
  if (typeof code === 'string' && untrusted.test(code)) {
    return new ConnectionProblem(
      'untrusted',
      `The server at ${address} shows a certificate that the device’s CA does not vouch for (${code}).`,
      options,
    );
  }
  if (typeof code === 'string' && alert.test(code)) {
    return new ConnectionProblem(
      'refused',
      `The server at ${address} does not accept the device’s certificate.`,
      options,
    );
  }
  const why = error instanceof Error ? error.message : String(error);
  return new ConnectionProblem('unreachable', `There is no connection to ${address}: ${why}.`, options);
}
