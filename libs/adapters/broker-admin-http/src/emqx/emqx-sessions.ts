import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import type { EndedSessions } from '../copy/principal-copy.js';
import { BrokerSessions, type ListedSession } from '../sessions/broker-sessions.js';
import { ManagementApi, type ManagementOptions } from '../sessions/management-api.js';

const pageSize = 1_000;

const clientPage = z.object({
  data: z.array(
    z.object({
      clientid: z.string(),
      client_attrs: z.object({ principal: z.string() }).optional(),
      connected_at: z.string().default(''),
    }),
  ),
  meta: z.object({ hasnext: z.boolean() }),
});

/** Ends MQTT sessions over EMQX's REST API; who is kicked out loses what was kept for it, too. */
export class EmqxSessions extends BrokerSessions {
  readonly #api: ManagementApi;

  constructor(options: ManagementOptions) {
    super();
    this.#api = new ManagementApi(options);
  }

  override async end({ key }: EndedSessions): Promise<void> {
    if (key.kind === 'device') return this.#kick(key.id);
    for await (const { clientId } of this.#pages(`&like_clientid=${encodeURIComponent(key.id)}`)) {
      if (clientId === key.id || clientId.startsWith(`${key.id}/`)) await this.#kick(clientId);
    }
  }

  override list(): AsyncIterable<ListedSession> {
    return this.#pages('');
  }

  override endListed({ clientId }: ListedSession): Promise<void> {
    return this.#kick(clientId);
  }

  override async checkReachable(): Promise<void> {
    await this.#api.ask('GET', '/api/v5/nodes', [200]);
  }

  override close(): void {
    this.#api.close();
  }

  async #kick(clientId: string): Promise<void> {
    await this.#api.ask('DELETE', `/api/v5/clients/${encodeURIComponent(clientId)}`, [204, 404]);
  }

  async *#pages(filter: string): AsyncIterable<ListedSession> {
    const found: ListedSession[] = [];
    for (let page = 1, hasNext = true; hasNext; page += 1) {
      const { body } = await this.#api.ask('GET', `/api/v5/clients?page=${page}&limit=${pageSize}${filter}`, [200]);
      const { data, meta } = parsed(body);
      for (const { clientid, client_attrs: attributes, connected_at: connectedAt } of data) {
        const connectedAtMs = Date.parse(connectedAt) || 0;
        if (attributes !== undefined) found.push({ name: attributes.principal, clientId: clientid, connectedAtMs });
      }
      hasNext = meta.hasnext;
    }
    // Kicking while paging would move clients over to pages that were read.
    yield* found;
  }
}

function parsed(body: string): z.output<typeof clientPage> {
  try {
    return clientPage.parse(JSON.parse(body));
  } catch (cause) {
    throw new Mqtt2goError('unavailable', "EMQX's REST API answered something else than expected.", { cause });
  }
}
