import { request as httpsRequest } from 'node:https';
import type { TestIdentity } from './test-certificates.js';

export interface RestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; undefined if it is none. */
  readonly json: unknown;
}

export interface RestRequest {
  /** POST by default. */
  readonly method?: string;
  readonly path: string;
  /** Sent as it is if a string or bytes, as JSON otherwise. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks a REST side at 127.0.0.1 over a connection of its own, with this certificate or none. */
export function askRest(
  { port, ca, identity }: { port: number; ca: string; identity?: TestIdentity | undefined },
  { method = 'POST', path, body, headers = {} }: RestRequest,
): Promise<RestAnswer> {
  const content = typeof body === 'string' || Buffer.isBuffer(body) || body === undefined ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        ca,
        method,
        path,
        agent: false,
        ...identity,
        headers: { ...(content === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parse(text) });
        });
      },
    );
    request.once('error', reject);
    request.end(content);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
