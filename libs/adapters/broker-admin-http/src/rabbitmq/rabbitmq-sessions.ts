import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import type { EndedSessions } from '../copy/principal-copy.js';
import { BrokerSessions, type ListedSession } from '../sessions/broker-sessions.js';
import { ManagementApi, type ManagementOptions } from '../sessions/management-api.js';
import { sessionQueuesOf } from './rabbitmq-questions.js';

const pageSize = 500;

const connectionPage = z.object({
  page_count: z.int(),
  items: z.array(
    z.object({
      user: z.string().optional(),
      client_properties: z.unknown().optional(),
      connected_at: z.number().default(0),
    }),
  ),
});
const clientProperties = z.object({ client_id: z.string() });
const queuePage = z.object({ page_count: z.int(), items: z.array(z.object({ name: z.string() })) });

/** Ends MQTT sessions over RabbitMQ's management API. */
export class RabbitMqSessions extends BrokerSessions {
  readonly #api: ManagementApi;
  readonly #vhost: string;

  constructor(options: ManagementOptions & { readonly vhost: string }) {
    super();
    this.#api = new ManagementApi(options);
    this.#vhost = encodeURIComponent(options.vhost);
  }

  override async end({ key, names, forgets }: EndedSessions): Promise<void> {
    for (const name of names) await this.#endConnections(name);
    if (!forgets) return;
    const queues = key.kind === 'controller' ? await this.#queuesOfController(key.id) : sessionQueuesOf(key.id);
    for (const queue of queues) {
      // 400: a queue of a connection that has gone with its node; it ends when the node comes back.
      await this.#api.ask('DELETE', `/api/queues/${this.#vhost}/${encodeURIComponent(queue)}`, [204, 400, 404]);
    }
  }

  override async *list(): AsyncIterable<ListedSession> {
    const path = '/api/connections?columns=user,client_properties,connected_at';
    for await (const { user, client_properties: properties, connected_at: connectedAtMs } of this.#pages(
      path,
      connectionPage,
    )) {
      const clientId = clientProperties.safeParse(properties).data?.client_id;
      if (user !== undefined && clientId !== undefined) yield { name: user, clientId, connectedAtMs };
    }
  }

  override endListed({ name }: ListedSession): Promise<void> {
    return this.#endConnections(name);
  }

  override async checkReachable(): Promise<void> {
    await this.#api.ask('GET', '/api/whoami', [200]);
  }

  override close(): void {
    this.#api.close();
  }

  async #endConnections(name: string): Promise<void> {
    await this.#api.ask('DELETE', `/api/connections/username/${encodeURIComponent(name)}`, [204, 404]);
  }

  /** Those of every client id that it may use. */
  async #queuesOfController(id: string): Promise<string[]> {
    const pattern = `^mqtt-subscription-${id.replaceAll('.', '\\.')}(/|qos)`;
    const path = `/api/queues/${this.#vhost}?use_regex=true&name=${encodeURIComponent(pattern)}`;
    const queues: string[] = [];
    for await (const { name } of this.#pages(path, queuePage)) queues.push(name);
    return queues;
  }

  async *#pages<T>(path: string, page: z.ZodType<{ page_count: number; items: T[] }>): AsyncIterable<T> {
    const separator = path.includes('?') ? '&' : '?';
    for (let number = 1, pages = 1; number <= pages; number += 1) {
      const address = `${path}${separator}page=${number}&page_size=${pageSize}&pagination=true`;
      const { status, body } = await this.#api.ask('GET', address, [200, 400]);
      // What was on a later page has gone meanwhile.
      if (status === 400 && number > 1) return;
      const { page_count: count, items } = parsed(body, page);
      pages = count;
      yield* items;
    }
  }
}

function parsed<T>(body: string, form: z.ZodType<T>): T {
  try {
    return form.parse(JSON.parse(body));
  } catch (cause) {
    throw new Mqtt2goError('unavailable', "RabbitMQ's management API answered something else than expected.", {
      cause,
    });
  }
}
