import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';

/** Where a pod finds its service account. */
const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
const maxAnswerBytes = 8 * 1024 * 1024;

export interface KubernetesAddress {
  /** `https://10.96.0.1:443` */
  readonly url: string;
  /** PEM: the cluster's CA. */
  readonly ca: string;
  /** The service account's token. */
  readonly token: string;
  readonly namespace: string;
}

/**
 * The API server of the cluster that this pod is in.
 * @throws Mqtt2goError `configuration_invalid` outside of a cluster, or without a service account's token
 */
export async function inClusterAddress(
  env: Readonly<Record<string, string | undefined>>,
  folder = serviceAccountFolder,
): Promise<KubernetesAddress> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (host === undefined || host === '') {
    throw new Mqtt2goError('configuration_invalid', 'KUBERNETES_SERVICE_HOST is not set; this is no pod of a cluster');
  }
  const read = async (file: string): Promise<string> => (await readFile(join(folder, file), 'utf8')).trim();
  try {
    const [ca, token, namespace] = await Promise.all([read('ca.crt'), read('token'), read('namespace')]);
    return { url: `https://${host.includes(':') ? `[${host}]` : host}:${port}`, ca, token, namespace };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Mqtt2goError('configuration_invalid', `the pod has no service account's token: ${reason}`, { cause });
  }
}

export interface KubernetesAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface KubernetesApiOptions {
  /** One request, from its start to the answer's last byte; 10,000 by default. */
  readonly timeoutMs?: number;
  /** How long an API server that cannot be reached or is too busy is asked again; 60,000 by default. */
  readonly giveUpAfterMs?: number;
  /** Between two attempts; 1,000 by default. */
  readonly pauseMs?: number;
}

/** The little of an API server's protocol that is needed here: JSON over HTTPS with a bearer token. */
export class KubernetesApi {
  readonly #address: KubernetesAddress;
  readonly #agent: Agent;
  readonly #timeoutMs: number;
  readonly #giveUpAfterMs: number;
  readonly #pauseMs: number;

  constructor(address: KubernetesAddress, options: KubernetesApiOptions = {}) {
    const { timeoutMs = 10_000, giveUpAfterMs = 60_000, pauseMs = 1_000 } = options;
    this.#address = address;
    this.#agent = new Agent({ ca: address.ca, keepAlive: true, maxSockets: 4, minVersion: 'TLSv1.2' });
    this.#timeoutMs = timeoutMs;
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#pauseMs = pauseMs;
  }

  get namespace(): string {
    return this.#address.namespace;
  }

  /**
   * Asks until there is an answer that is neither "too busy" nor the server's own failure.
   * @throws Mqtt2goError `unavailable`
   */
  async ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<KubernetesAnswer> {
    const giveUpAt = performance.now() + this.#giveUpAfterMs;
    for (;;) {
      const reason = await this.#once(method, path, body).then(
        (answer) => (isPassing(answer.status) ? `it answers ${answer.status}` : answer),
        (error: unknown) => (error instanceof Error ? error.message || error.name : String(error)),
      );
      if (typeof reason !== 'string') return reason;
      if (performance.now() >= giveUpAt) {
        throw new Mqtt2goError('unavailable', `the Kubernetes API at ${this.#address.url} cannot be used: ${reason}`);
      }
      await sleep(this.#pauseMs);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #once(method: string, path: string, body: unknown): Promise<KubernetesAnswer> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const asked = request(
        new URL(path, this.#address.url),
        {
          method,
          agent: this.#agent,
          signal: AbortSignal.timeout(this.#timeoutMs),
          headers: {
            authorization: `Bearer ${this.#address.token}`,
            accept: 'application/json',
            ...(content === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
          },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          answer.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes > maxAnswerBytes) asked.destroy(new Error('the answer is too large'));
            else chunks.push(chunk);
          });
          answer.once('error', reject);
          answer.once('end', () => {
            resolve({ status: answer.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString('utf8')) });
          });
        },
      );
      asked.once('error', reject);
      asked.end(content);
    });
  }
}

/** Too many requests, or a server that has a problem of its own. */
function isPassing(status: number): boolean {
  return status === 429 || status >= 500;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const statusObject = z.object({ message: z.string() });

/** What the API server says about a request that it refuses. */
export function refusalOf({ status, body }: KubernetesAnswer): string {
  const said = statusObject.safeParse(body);
  return said.success ? `${status}: ${said.data.message}` : String(status);
}
