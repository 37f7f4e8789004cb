import { type ConnectionOptions, connect as tlsConnect, type TLSSocket } from 'node:tls';
import { PlainClient, type TestIdentity } from '@mqtt2go/testing';

/** A TLS connection to this machine; resolves when it is up. */
export function openTls(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: '127.0.0.1', port, ...options }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

export interface Visitor {
  readonly port: number;
  /** How it calls the broker; an address, which nobody is asked by, unless set. */
  readonly servername?: string;
  /** PEM that the broker's certificate is checked against. */
  readonly ca: string;
  readonly identity?: TestIdentity;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
}

/** Comes to a broker as an MQTT client. @throws Error when it is not let in */
export async function visit({ port, servername, ca, identity, ...client }: Visitor): Promise<PlainClient> {
  return PlainClient.connect(await openTls(port, { ca, ...identity, ...(servername && { servername }) }), client);
}

/** As {@link visit}, with what came of it instead of an error. */
export async function tryToVisit(visitor: Visitor): Promise<PlainClient | string> {
  return visit(visitor).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
}
