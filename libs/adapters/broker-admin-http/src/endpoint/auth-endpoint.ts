import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Log } from '../log.js';
import { AnswerTimes } from './answer-times.js';

export interface EndpointOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** PEM trust anchors of the brokers' client certificates: the services CA. */
  readonly ca: string;
  /** PEM, a service's certificate that names this host, and its key. */
  readonly cert: string;
  readonly key: string;
  /** Services whose certificates may ask: those of the brokers themselves. `broker` alone by default. */
  readonly callers?: readonly string[];
}

/** What a broker sent: its parameters, each once. */
export type Parameters = ReadonlyMap<string, string>;

export interface Answer {
  readonly status: 200 | 503;
  readonly contentType: 'text/plain' | 'application/json';
  readonly body: string;
  readonly isDenied: boolean;
}

export type Handler = (parameters: Parameters) => Promise<Answer>;

/** With a client's certificate in it, 4 KiB would do. */
const maxBodyBytes = 16_384;
const requestTimeoutMs = 5_000;

/**
 * The HTTPS server that brokers ask. Only those with a broker's certificate get an answer; nothing that is too large or
 * too slow is waited for; no answer may be kept by anybody.
 */
export class AuthEndpoint {
  readonly times = new AnswerTimes();
  readonly #server: Server;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #callers: ReadonlySet<string>;
  readonly #log: Log;

  constructor({ ca, cert, key, callers = ['broker'] }: EndpointOptions, handlers: Record<string, Handler>, log: Log) {
    this.#handlers = new Map(Object.entries(handlers));
    this.#callers = new Set(callers.map((name) => `URI:urn:mqtt2go:service:${name}`));
    this.#log = log;
    const tls = { ca, cert, key, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const;
    const limits = {
      maxHeaderSize: maxBodyBytes,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // Brokers keep their connections: a handshake costs more than all else.
      keepAliveTimeout: 300_000,
      connectionsCheckingInterval: 1_000,
    };
    this.#server = createServer({ ...tls, ...limits, handshakeTimeout: requestTimeoutMs }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server.maxConnections = 1_024;
    this.#server.on('tlsClientError', (error) => {
      this.times.strangers += 1;
      log.debug({ err: error }, 'a connection to the access endpoint failed');
    });
  }

  /** @throws Mqtt2goError `port_in_use` */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        reject(new Mqtt2goError('port_in_use', `The access endpoint cannot listen at ${host}:${port}.`, { cause }));
      });
      this.#server.listen(port, host, resolve);
    });
    return this.port;
  }

  get isListening(): boolean {
    return this.#server.listening;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = performance.now();
    const refuse = (status: number): void => {
      response.shouldKeepAlive = false;
      response.writeHead(status, { 'cache-control': 'no-store' }).end();
    };
    try {
      if (!this.#isCaller(request)) {
        this.times.strangers += 1;
        return refuse(403);
      }
      const [path = '', query = ''] = (request.url ?? '').split('?', 2);
      const handler = this.#handlers.get(path);
      if (handler === undefined) return refuse(404);
      if (request.method !== 'POST' && request.method !== 'GET') return refuse(405);
      const parameters = readParameters(request, query, await readBody(request));
      if (parameters === undefined) {
        this.times.malformed += 1;
        return refuse(400);
      }
      const answer = await handler(parameters);
      if (answer.isDenied) this.times.denied += 1;
      this.times.add(performance.now() - startedMs);
      response
        .writeHead(answer.status, {
          'content-type': answer.contentType,
          'content-length': Buffer.byteLength(answer.body),
          'cache-control': 'no-store',
        })
        .end(answer.body);
    } catch (error) {
      if (error instanceof Mqtt2goError) return refuse(error.code === 'message_too_large' ? 413 : 503);
      this.#log.error({ err: error }, 'a broker could not be answered');
      refuse(500);
    }
  }

  #isCaller({ socket }: IncomingMessage): boolean {
    const names = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.subjectAltName : undefined;
    return names?.split(', ').some((name) => this.#callers.has(name)) ?? false;
  }
}

/** @throws Mqtt2goError `message_too_large`, `unavailable` when the caller goes away */
async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) continue;
      bytes += chunk.length;
      if (bytes > maxBodyBytes) throw new Mqtt2goError('message_too_large');
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Mqtt2goError) throw error;
    throw new Mqtt2goError('unavailable', 'The broker went away.', { cause: error });
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Of a form or a JSON object of strings; undefined for anything else, and for a name that is there twice. */
function readParameters(request: IncomingMessage, query: string, body: string): Parameters | undefined {
  const pairs = [...new URLSearchParams(query)];
  const type = request.headers['content-type'] ?? '';
  if (body !== '' && type.startsWith('application/json')) {
    const json = parseObject(body);
    if (json === undefined) return undefined;
    pairs.push(...json);
  } else {
    pairs.push(...new URLSearchParams(body));
  }
  const parameters = new Map(pairs);
  return parameters.size === pairs.length ? parameters : undefined;
}

function parseObject(text: string): [string, string][] | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(json)) {
    if (typeof value !== 'string') return undefined;
    pairs.push([name, value]);
  }
  return pairs;
}
