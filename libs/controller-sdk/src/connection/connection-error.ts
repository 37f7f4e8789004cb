import { Mqtt2goError } from '@mqtt2go/protocol';

/** What OpenSSL and Node say when they do not accept the server's certificate. Browsers do not say. */
const untrusted =
  /^(ERR_TLS_CERT_ALTNAME_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)/;

/** Why there is no connection: `forbidden` (user name or password), `server_untrusted` or `unavailable`. */
export function connectionError(error: unknown, url: string): Mqtt2goError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const options = { cause: error };
  // Return codes of MQTT 3.1.1: 4 and 5 are for who comes, the others for how things are.
  if (code === 4 || code === 5) {
    return new Mqtt2goError('forbidden', `The broker at ${url} does not accept this user name and password.`, options);
  }
  if (typeof code === 'string' && untrusted.test(code)) {
    return new Mqtt2goError(
      'server_untrusted',
      `The broker at ${url} shows a certificate of an unknown CA (${code}).`,
      options,
    );
  }
  const why = error instanceof Error ? error.message : 'the connection was closed';
  return new Mqtt2goError('unavailable', `There is no connection to ${url}: ${why}.`, options);
}
