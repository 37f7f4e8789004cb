import { TLSSocket } from 'node:tls';
import { type PeerTime, serverFault } from '@mqtt2go/pki';
import type { buildConnector } from 'undici';

export interface TrustedServer {
  /** PEM: the CA that the server's certificate comes from. */
  readonly ca: string;
  /** PEM: certificate and key to come with. */
  readonly identity?: { readonly cert: string; readonly key: string } | undefined;
  /** By the platform's clock: what the dates of certificates are judged by. */
  readonly time: () => PeerTime;
  readonly timeoutMs: number;
}

/**
 * How undici connects to a server whose certificate is of the CA, is valid by `time`, is a server's, and names the host.
 * @param build undici's, which is left to its users to load: megabytes that most gateways do without
 */
export function trustedConnector(
  build: typeof buildConnector,
  { ca, identity, time, timeoutMs }: TrustedServer,
): buildConnector.connector {
  const connect = build({
    ca,
    ...(identity && { cert: identity.cert, key: identity.key }),
    rejectUnauthorized: false,
    timeout: timeoutMs,
    // undici would take up a session whose server was refused, too.
    maxCachedSessions: 0,
  });
  return (options, done) =>
    connect(options, (...result) => {
      const [error, socket] = result;
      if (error !== null || !(socket instanceof TLSSocket)) return done(...result);
      const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
      const fault = serverFault(socket, host, { ...time(), trustAnchors: [ca] });
      if (fault === undefined) return done(null, socket);
      socket.destroy();
      return done(new Error(fault), null);
    });
}
