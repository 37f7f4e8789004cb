import type { IncomingMessage } from 'node:http';
import { request as requestPlain } from 'node:http';
import { Agent, request as requestTls } from 'node:https';
import { Mqtt2goError } from '@mqtt2go/protocol';

export interface ManagementOptions {
  /** Where the API is, `https://host:port`; of a cluster any number of its nodes, tried in turn. */
  readonly urls: readonly string[];
  /** A name of the API's own: a user, or an API key. */
  readonly user: string;
  /** Random, of 128 bits at least. */
  readonly password: string;
  /** PEM trust anchors of the API's certificate. */
  readonly ca?: string;
  /** PEM, this caller's certificate and key, where the API asks for one. */
  readonly cert?: string;
  readonly key?: string;
  readonly timeoutMs?: number;
}

export interface ManagementAnswer {
  readonly status: number;
  readonly body: string;
}

const maxAnswerBytes = 16 * 1_048_576;

/** JSON over HTTP(S) with a name and a password; the node that answered last is asked first. */
export class ManagementApi {
  readonly #options: ManagementOptions;
  readonly #agent: Agent;
  #urls: readonly string[];

  constructor(options: ManagementOptions) {
    const { ca, cert, key } = options;
    this.#options = options;
    this.#urls = options.urls;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 8, ca, cert, key, minVersion: 'TLSv1.2' });
  }

  /**
   * @param accepted statuses that are an answer; any other is tried at the next node
   * @throws Mqtt2goError `unavailable` when no node gave one of them
   */
  async ask(method: 'GET' | 'DELETE' | 'POST', path: string, accepted: readonly number[]): Promise<ManagementAnswer> {
    const reasons: unknown[] = [];
    for (const url of this.#urls) {
      try {
        const answer = await this.#askAt(url, method, path);
        if (accepted.includes(answer.status)) {
          this.#urls = [url, ...this.#urls.filter((other) => other !== url)];
          return answer;
        }
        reasons.push(new Error(`${url} answered ${answer.status}`));
      } catch (error) {
        reasons.push(error);
      }
    }
    const cause = new AggregateError(reasons);
    throw new Mqtt2goError('unavailable', "No node of the broker's cluster answers its management API.", { cause });
  }

  close(): void {
    this.#agent.destroy();
  }

  #askAt(url: string, method: string, path: string): Promise<ManagementAnswer> {
    const { user, password, timeoutMs = 5_000 } = this.#options;
    const target = new URL(path, url);
    const isTls = target.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const request = (isTls ? requestTls : requestPlain)(target, {
        method,
        ...(isTls ? { agent: this.#agent } : {}),
        auth: `${user}:${password}`,
        headers: { accept: 'application/json', 'content-length': 0 },
        signal: AbortSignal.timeout(timeoutMs),
      });
      request.on('response', (response) => {
        readAll(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
      });
      request.on('error', reject);
      request.end();
    });
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
