import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { AccessDesk, Decision } from '../copy/access-desk.js';
import type { Answer, Handler, Parameters } from '../endpoint/auth-endpoint.js';
import { filterOfRoutingKey, topicOfRoutingKey } from './routing-key.js';

export interface RabbitMqQuestionsOptions {
  readonly desk: AccessDesk;
  /** Who ends sessions over RabbitMQ's management API: this adapter itself. */
  readonly manager: { readonly user: string; readonly password: string };
  readonly vhost: string;
}

const short = z.string().max(256);
const name = z.string().min(1).max(256);

const signIn = z.object({
  username: name,
  password: z.string().min(1).max(1_024).optional(),
  vhost: short.optional(),
  client_id: short.optional(),
});
const vhostAccess = z.object({ username: name, vhost: short, client_id: short.optional() });
const resourceAccess = z.object({
  username: name,
  vhost: short,
  resource: z.enum(['exchange', 'queue']),
  name: z.string().max(512),
  permission: z.enum(['configure', 'read', 'write']),
  client_id: short.optional(),
});
const topicAccess = z.object({
  username: name,
  vhost: short,
  resource: z.literal('topic'),
  name: short,
  permission: z.enum(['read', 'write']),
  routing_key: z.string().min(1).max(1_024),
  'variable_map.username': name,
  'variable_map.vhost': short,
  'variable_map.client_id': short,
});

/** The exchange that MQTT's topics live in. */
const topicExchange = 'amq.topic';
const sessionQueue = 'mqtt-subscription-';

/**
 * What `rabbitmq_auth_backend_http` asks: sign-in, virtual host, queues and exchanges, topics. MQTT connections always
 * tell their client id and the management API never does, so that neither can pass for the other.
 */
export function rabbitMqHandlers(options: RabbitMqQuestionsOptions): Record<string, Handler> {
  const { desk, vhost } = options;
  const isManager = managerCheck(options.manager);
  const here = (asked: string): boolean => asked === vhost;
  return {
    '/rabbitmq/user': ask(signIn, async ({ username, password, vhost: asked, client_id: clientId }) => {
      if (clientId === undefined) return isManager(username, password) ? 'allow administrator' : 'deny';
      if (asked === undefined || !here(asked)) return 'deny';
      return desk.signIn({ name: username, clientId, password });
    }),
    '/rabbitmq/vhost': ask(vhostAccess, async ({ username, vhost: asked, client_id: clientId }) => {
      if (!here(asked)) return 'deny';
      return clientId === undefined ? allowIf(isManager(username)) : desk.admits(username, clientId);
    }),
    '/rabbitmq/resource': ask(resourceAccess, async ({ username, vhost: asked, client_id: clientId, ...what }) => {
      if (!here(asked)) return 'deny';
      if (clientId === undefined) return allowIf(isManager(username) && isSessionQueueToDelete(what));
      const decision = desk.admits(username, clientId);
      return decision === 'allow' ? allowIf(isOwnResource(what, clientId)) : decision;
    }),
    '/rabbitmq/topic': ask(topicAccess, async (asked) => {
      const clientId = asked['variable_map.client_id'];
      const isConsistent = asked['variable_map.username'] === asked.username && here(asked['variable_map.vhost']);
      if (!isConsistent || !here(asked.vhost) || asked.name !== topicExchange) return 'deny';
      return asked.permission === 'write'
        ? desk.mayUse(asked.username, clientId, 'publish', publishedTopic(asked.routing_key))
        : desk.mayUse(asked.username, clientId, 'subscribe', filterOfRoutingKey(asked.routing_key));
    }),
  };
}

interface Resource {
  readonly resource: 'exchange' | 'queue';
  readonly name: string;
  readonly permission: 'configure' | 'read' | 'write';
}

/** The queues of its own session, and MQTT's exchange without the right to change it. */
function isOwnResource({ resource, name: what, permission }: Resource, clientId: string): boolean {
  if (resource === 'exchange') return what === topicExchange && permission !== 'configure';
  return sessionQueuesOf(clientId).includes(what);
}

/** What RabbitMQ calls the queues of a session, for QoS 0 and 1. */
export function sessionQueuesOf(clientId: string): string[] {
  return [`${sessionQueue}${clientId}qos0`, `${sessionQueue}${clientId}qos1`];
}

function isSessionQueueToDelete({ resource, name: what, permission }: Resource): boolean {
  return resource === 'queue' && permission === 'configure' && what.startsWith(sessionQueue);
}

/** A `*` is a wildcard to RabbitMQ in filters only; in a topic's name it stands for `+`, which may not be in one. */
function publishedTopic(routingKey: string): string {
  return routingKey.includes('*') ? '' : topicOfRoutingKey(routingKey);
}

function managerCheck(manager: { readonly user: string; readonly password: string }) {
  const expected = digest(manager.password);
  return (user: string, password?: string): boolean =>
    user === manager.user && (password === undefined || timingSafeEqual(digest(password), expected));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function allowIf(condition: boolean): Decision {
  return condition ? 'allow' : 'deny';
}

function ask<T>(question: z.ZodType<T>, decide: (asked: T) => Promise<Decision | 'allow administrator'>): Handler {
  return async (parameters: Parameters): Promise<Answer> => {
    const asked = question.safeParse(Object.fromEntries(parameters));
    // Ill-formed UTF-8 comes out of the form as U+FFFD, and different names would become one.
    const isReadable = asked.success && ![...parameters.values()].some((value) => value.includes('\uFFFD'));
    const decision = isReadable ? await decide(asked.data) : 'deny';
    if (decision === 'unknown') return { status: 503, contentType: 'text/plain', body: '', isDenied: true };
    return { status: 200, contentType: 'text/plain', body: decision, isDenied: decision === 'deny' };
  };
}
