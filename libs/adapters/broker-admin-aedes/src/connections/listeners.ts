import { constants } from 'node:crypto';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { peerFault } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { BrokerLimits } from '../broker-limits.js';
import { type Arrival, presentedCertificate } from './arrival.js';

/** PEM throughout. */
export interface ServerIdentity {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Leaf first, then its chain. */
  readonly cert: string;
  readonly key: string;
}

export interface TlsListenerOptions extends ServerIdentity {
  /** Trust anchors for client certificates; none means that no certificate is trusted. */
  readonly ca: string | readonly string[];
  readonly clientCertificates: 'required' | 'optional';
}

export interface ListenerEvents {
  readonly connected: (connection: Duplex, arrival: Arrival) => void;
  /** A client that did not get through the handshake. */
  readonly failed: (error: Error, from: string) => void;
}

/** What a listener shows of itself, PEM; the leaf first, then its chain. */
export type ShownIdentity = Pick<ServerIdentity, 'cert' | 'key'>;

export interface Listener {
  readonly door: Exclude<Arrival['door'], 'in-process'>;
  readonly port: number;
  setTrustAnchors(ca: readonly string[]): void;
  /** For connections from now on. */
  setIdentity(identity: ShownIdentity): void;
  close(): Promise<void>;
}

/**
 * Opens a TLS listener for MQTT. Clients' certificates are judged by `clock`, which the system's may be behind by decades.
 * @throws Mqtt2goError `port_in_use`
 */
export async function listenTls(
  door: 'tls' | 'services',
  options: TlsListenerOptions,
  limits: BrokerLimits,
  events: ListenerEvents,
  clock: Clock,
): Promise<Listener> {
  let trustAnchors = listOf(options.ca);
  let { cert, key }: ShownIdentity = options;
  const contextOptions = (): TlsOptions => ({
    cert,
    key,
    // An empty list trusts nobody; undefined would trust all public authorities.
    ca: [...trustAnchors],
    minVersion: 'TLSv1.2',
    // Without tickets each connection proves its certificate anew: no session outlives a trust anchor.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  const server = createTlsServer({
    ...contextOptions(),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeTimeoutMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const fault = peerFault(socket, { trustAnchors, purpose: 'client', nowMs: clock.now() });
    // With optional certificates a bad one gets as far as CONNECT, and its refusal there.
    if (fault !== undefined && options.clientCertificates === 'required') {
      socket.on('error', () => undefined);
      socket.destroy();
      return events.failed(new Error(fault), socket.remoteAddress ?? '');
    }
    const certificate = presentedCertificate(socket, fault);
    events.connected(socket, { door, from: socket.remoteAddress ?? '', ...(certificate && { certificate }) });
  });
  const closeServer = await start(server, options, limits, events);
  return {
    door,
    port: portOf(server),
    setTrustAnchors: (ca) => {
      trustAnchors = ca;
      server.setSecureContext(contextOptions());
    },
    setIdentity: (identity) => {
      ({ cert, key } = identity);
      server.setSecureContext(contextOptions());
    },
    close: closeServer,
  };
}

/** Opens a listener for MQTT over WebSocket over TLS, for those who come with a password. @throws as {@link listenTls} */
export async function listenWss(
  options: ServerIdentity,
  limits: BrokerLimits,
  events: ListenerEvents,
): Promise<Listener> {
  const server = createHttpsServer(
    {
      cert: options.cert,
      key: options.key,
      minVersion: 'TLSv1.2',
      handshakeTimeout: limits.handshakeTimeoutMs,
      headersTimeout: limits.connectTimeoutMs,
      noDelay: true,
      keepAlive: true,
      maxHeaderSize: 8 * 1024,
    },
    (_request, response) => {
      response.writeHead(426, { 'content-type': 'text/plain', connection: 'close' }).end('MQTT over WebSocket only\n');
    },
  );
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: false,
    // A message may hold several packets; their own limit is looked at as they are read.
    maxPayload: limits.maxPacketBytes * 2,
    handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : false),
    // [MQTT-6.0.0-4]: the client must offer `mqtt`.
    verifyClient: ({ req }: { req: { headers: { 'sec-websocket-protocol'?: string } } }) =>
      (req.headers['sec-websocket-protocol'] ?? '').split(',').some((name) => name.trim() === 'mqtt'),
  });
  sockets.on('connection', (socket, request) => {
    const from = request.socket.remoteAddress ?? '';
    socket.on('error', (error) => events.failed(error, from));
    events.connected(createWebSocketStream(socket), { door: 'websocket', from });
  });
  // `ws` passes the server's errors on, and one without a listener would end the process.
  sockets.on('error', () => undefined);
  const closeServer = await start(server, options, limits, events);
  return {
    door: 'websocket',
    port: portOf(server),
    setTrustAnchors: () => undefined,
    setIdentity: ({ cert, key }) => server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' }),
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      await closeServer();
    },
  };
}

function start(
  server: TlsServer,
  { host, port }: ServerIdentity,
  limits: BrokerLimits,
  events: ListenerEvents,
): Promise<() => Promise<void>> {
  const open = new Set<Socket>();
  server.maxConnections = limits.maxConnections;
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('tlsClientError', (error, socket) => events.failed(error, socket.remoteAddress ?? ''));
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new Mqtt2goError('port_in_use', `Port ${port} on ${host} is taken by another program.`, { cause: error })
          : error,
      );
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      server.on('error', (error: Error) => events.failed(error, host));
      resolve(
        () =>
          new Promise((closed) => {
            server.close(() => closed());
            for (const socket of open) socket.destroy();
          }),
      );
    });
  });
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('The listener has no port.');
  return address.port;
}

export function listOf(ca: string | readonly string[]): readonly string[] {
  return typeof ca === 'string' ? [ca] : ca;
}
