import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createTestCertificates } from '@mqtt2go/testing';
import { z } from 'zod';
import { KubernetesApi, type KubernetesAddress } from '../kubernetes-api.js';

const secretObject = z.object({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  type: z.literal('Opaque'),
  metadata: z.looseObject({
    name: z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/),
    labels: z.record(z.string(), z.string()).optional(),
    resourceVersion: z.string().optional(),
  }),
  data: z.record(z.string().regex(/^[-._a-zA-Z0-9]+$/), z.base64()),
});
export type SecretObject = z.infer<typeof secretObject>;

const secretsPath = /^\/api\/v1\/namespaces\/homes\/secrets(?:\/([^/]+))?$/;

/** An HTTPS server that does with Secrets of the namespace `homes` what an API server does. */
export class FakeKubernetes {
  readonly secrets = new Map<string, SecretObject>();
  readonly requests: string[] = [];
  /** Statuses to answer the next requests with, whatever they are. */
  readonly failures: number[] = [];
  /** Names that the role allows; all when undefined. */
  allowed: ReadonlySet<string> | undefined;
  /** Called before each change, as if by somebody else. */
  beforeChange: (() => void) | undefined;
  #version = 0;

  private constructor(
    readonly address: KubernetesAddress,
    private readonly stop: () => Promise<void>,
  ) {}

  static async start(): Promise<FakeKubernetes> {
    const { ca, server: identity } = await createTestCertificates();
    const server = createServer(identity);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port }: AddressInfo = Object.assign({ address: '', family: '', port: 0 }, server.address());
    const address = { url: `https://127.0.0.1:${port}`, ca, token: 'a-token', namespace: 'homes' };
    const fake = new FakeKubernetes(address, async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
    server.on('request', (request, response) => {
      void fake.#answer(request).then(([status, body]) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    return fake;
  }

  open(): KubernetesApi {
    return new KubernetesApi(this.address, { pauseMs: 1, giveUpAfterMs: 2_000, timeoutMs: 5_000 });
  }

  put(name: string, data: Record<string, string>, metadata: object = {}): void {
    this.#version += 1;
    this.secrets.set(name, {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: { ...metadata, name, resourceVersion: String(this.#version) },
      data,
    });
  }

  /** The entries of a Secret, decoded. */
  textsOf(name: string): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.secrets.get(name)?.data ?? {}).map(([entry, value]) => [
        entry,
        Buffer.from(value, 'base64').toString('utf8'),
      ]),
    );
  }

  close(): Promise<void> {
    return this.stop();
  }

  async #answer(request: IncomingMessage): Promise<[number, unknown]> {
    const content = await text(request);
    this.requests.push(`${request.method} ${request.url}`);
    const failure = this.failures.shift();
    if (failure !== undefined) return [failure, { message: 'not now' }];
    if (request.headers.authorization !== `Bearer ${this.address.token}`) return [401, { message: 'Unauthorized' }];
    const name = secretsPath.exec(request.url ?? '')?.[1];
    if (name === undefined && request.method !== 'POST') return [404, { message: 'no such path' }];
    if (request.method === 'GET') return this.#get(name ?? '');
    const parsed = secretObject.safeParse(JSON.parse(content));
    if (!parsed.success) return [422, { message: parsed.error.message }];
    this.beforeChange?.();
    return this.#store(request.method === 'POST', parsed.data);
  }

  #get(name: string): [number, unknown] {
    if (this.allowed?.has(name) === false) return [403, { message: `secrets "${name}" is forbidden` }];
    const secret = this.secrets.get(name);
    return secret === undefined ? [404, { message: `secrets "${name}" not found` }] : [200, secret];
  }

  #store(isNew: boolean, secret: SecretObject): [number, unknown] {
    const { name, resourceVersion, ...metadata } = secret.metadata;
    const existing = this.secrets.get(name);
    if (this.allowed?.has(name) === false) return [403, { message: `secrets "${name}" is forbidden` }];
    if (isNew && existing !== undefined) return [409, { message: `secrets "${name}" already exists` }];
    if (!isNew && existing === undefined) return [404, { message: `secrets "${name}" not found` }];
    if (!isNew && existing?.metadata.resourceVersion !== resourceVersion)
      return [409, { message: 'has been modified' }];
    this.put(name, secret.data, metadata);
    return [isNew ? 201 : 200, this.secrets.get(name)];
  }
}
