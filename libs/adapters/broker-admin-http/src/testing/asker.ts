import { Agent, request } from 'node:https';
import type { TestIdentity } from '@mqtt2go/testing';

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
  readonly cacheControl: string;
}

/** Asks an access endpoint on 127.0.0.1 as a broker does. */
export class Asker {
  readonly #agent: Agent;

  constructor(
    private readonly port: number,
    options: { readonly ca: string } & Partial<TestIdentity>,
  ) {
    this.#agent = new Agent({ ...options, keepAlive: true });
  }

  /** As `rabbitmq_auth_backend_http` does. */
  form(path: string, fields: Record<string, string>): Promise<Reply> {
    return this.send('POST', path, new URLSearchParams(fields).toString(), 'application/x-www-form-urlencoded');
  }

  /** As EMQX does. */
  json(path: string, fields: unknown): Promise<Reply> {
    return this.send('POST', path, JSON.stringify(fields), 'application/json');
  }

  send(method: string, path: string, body = '', contentType = 'text/plain'): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const asking = request({
        host: '127.0.0.1',
        port: this.port,
        path,
        method,
        agent: this.#agent,
        headers: { 'content-type': contentType, 'content-length': Buffer.byteLength(body) },
      });
      asking.once('error', reject);
      asking.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks).toString('utf8'),
            contentType: response.headers['content-type'] ?? '',
            cacheControl: response.headers['cache-control'] ?? '',
          }),
        );
      });
      asking.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
