import type { BrokerRole, Principal, PrincipalKey } from '@mqtt2go/access';
import { BrokerAdmin, type Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { AccessDesk } from './copy/access-desk.js';
import { defaultPasswordLimits, PasswordDesk, type PasswordLimits } from './copy/password-desk.js';
import { type EndedSessions, type KnownPrincipal, PrincipalCopy } from './copy/principal-copy.js';
import { emqxHandlers } from './emqx/emqx-questions.js';
import { EmqxSessions } from './emqx/emqx-sessions.js';
import type { AnswerStats } from './endpoint/answer-times.js';
import { AuthEndpoint, type EndpointOptions } from './endpoint/auth-endpoint.js';
import type { Log } from './log.js';
import { rabbitMqHandlers } from './rabbitmq/rabbitmq-questions.js';
import { RabbitMqSessions } from './rabbitmq/rabbitmq-sessions.js';
import { isRoutable } from './rabbitmq/routing-key.js';
import type { BrokerSessions } from './sessions/broker-sessions.js';
import type { ManagementOptions } from './sessions/management-api.js';
import { SessionEnder } from './sessions/session-ender.js';

export interface HttpBrokerAdminOptions {
  /** A home broker; an activation broker has trust anchors that change, which these brokers cannot be told over HTTP. */
  readonly role: Extract<BrokerRole, 'home'>;
  readonly broker: 'rabbitmq' | 'emqx';
  /** Where the broker asks. */
  readonly endpoint: EndpointOptions;
  /** Where the broker is told to end sessions. */
  readonly management: ManagementOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly passwordLimits?: PasswordLimits;
  /** Between tries of a rebuild that has failed. */
  readonly rebuildRetryMs?: number;
  /** How often the broker's management side is looked for. */
  readonly healthIntervalMs?: number;
  /** How often sessions are looked through for those that may not be there. */
  readonly auditIntervalMs?: number;
  readonly sweepMs?: number;
}

/** RabbitMQ's virtual host. */
const vhost = '/';

/**
 * Access of a clustered broker that asks over HTTP. The copy is in this process: what a change leaves is answered from
 * the moment on that it is made, and a broker that asks while there is no copy yet is told to come again (503).
 */
export class HttpBrokerAdmin extends BrokerAdmin {
  readonly #copy = new PrincipalCopy();
  readonly #endpoint: AuthEndpoint;
  readonly #desk: AccessDesk;
  readonly #sessions: BrokerSessions;
  readonly #ender: SessionEnder;
  readonly #log: Log;
  readonly #isHolding: (principal: KnownPrincipal) => boolean;
  readonly #rebuildRetryMs: number;
  readonly #rebuilds = new Set<() => Promise<void>>();
  readonly #retries = new Set<NodeJS.Timeout>();
  readonly #health: NodeJS.Timeout;
  readonly #openedAtMs: number;
  readonly #auditIntervalMs: number;
  #audit: NodeJS.Timeout | undefined;
  #isReachable = true;
  #isClosed = false;

  private constructor(options: HttpBrokerAdminOptions) {
    super();
    const { role, broker, endpoint, management, clock, log, sweepMs, passwordLimits = defaultPasswordLimits } = options;
    const isRabbitMq = broker === 'rabbitmq';
    this.#log = log;
    this.#openedAtMs = clock.now();
    this.#auditIntervalMs = options.auditIntervalMs ?? 300_000;
    this.#rebuildRetryMs = options.rebuildRetryMs ?? 1_000;
    this.#isHolding = (principal) => !isRabbitMq || idsOf(principal).every(isRoutable);
    const passwords = new PasswordDesk(clock, passwordLimits);
    this.#desk = new AccessDesk({ role, copy: this.#copy, passwords, clock });
    this.#sessions = isRabbitMq ? new RabbitMqSessions({ ...management, vhost }) : new EmqxSessions(management);
    this.#ender = new SessionEnder({ sessions: this.#sessions, log, ...(sweepMs === undefined ? {} : { sweepMs }) });
    const desk = this.#desk;
    const handlers = isRabbitMq ? rabbitMqHandlers({ desk, manager: management, vhost }) : emqxHandlers({ desk });
    this.#endpoint = new AuthEndpoint(endpoint, handlers, log);
    this.#health = setInterval(() => void this.#look(), options.healthIntervalMs ?? 10_000);
    this.#health.unref();
  }

  /** Listens when it resolves. @throws Mqtt2goError `port_in_use` */
  static async open(options: HttpBrokerAdminOptions): Promise<HttpBrokerAdmin> {
    const admin = new HttpBrokerAdmin(options);
    try {
      await admin.#endpoint.listen(options.endpoint.host, options.endpoint.port);
      return admin;
    } catch (error) {
      await admin.close();
      throw error;
    }
  }

  /** Where the endpoint listens. */
  get port(): number {
    return this.#endpoint.port;
  }

  /** @throws Mqtt2goError `invalid_identifier` for an id that RabbitMQ's routing keys cannot carry, see {@link BrokerAdmin} */
  override async put(principals: readonly Principal[]): Promise<void> {
    const known = principals.flatMap(knownOf);
    const odd = known.find((principal) => !this.#isHolding(principal));
    if (odd !== undefined) {
      throw new Mqtt2goError(
        'invalid_identifier',
        `RabbitMQ takes a '.' for the end of a level: ${idsOf(odd).join(', ')}.`,
      );
    }
    await this.#end(this.#copy.put(known), known);
  }

  override async remove(keys: readonly PrincipalKey[]): Promise<void> {
    await this.#end(this.#copy.remove(keys), keys);
  }

  override async replaceAll(principals: AsyncIterable<Principal> | Iterable<Principal>): Promise<void> {
    const ended = await this.#copy.replaceAll(this.#held(principals));
    await this.#end(ended, []);
    await this.#endOthers();
    // A broker lists a session some seconds after it began.
    this.#auditIn(Math.min(15_000, this.#auditIntervalMs));
  }

  /** The trust anchors of a home broker are in its configuration, and never change. */
  override async setTrustAnchors(): Promise<void> {
    throw new Mqtt2goError(
      'configuration_invalid',
      'A broker that asks over HTTP takes no trust anchors while it runs.',
    );
  }

  override onCopyLost(rebuild: () => Promise<void>): () => void {
    this.#rebuilds.add(rebuild);
    queueMicrotask(() => void this.#rebuild(rebuild));
    return () => {
      this.#rebuilds.delete(rebuild);
    };
  }

  override checkHealth(): void {
    if (!this.#endpoint.isListening) throw new Mqtt2goError('unavailable', 'the access endpoint does not listen');
    if (!this.#copy.isComplete) throw new Mqtt2goError('unavailable', 'the access copy is not complete');
    if (!this.#isReachable) throw new Mqtt2goError('unavailable', "the broker's management API does not answer");
  }

  /** Answers so far and how long the last ones took; principals in the copy. */
  stats(): AnswerStats & { readonly principals: number; readonly isCopyComplete: boolean } {
    return { ...this.#endpoint.times.stats(), principals: this.#copy.size, isCopyComplete: this.#copy.isComplete };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#health);
    clearTimeout(this.#audit);
    for (const retry of this.#retries) clearTimeout(retry);
    this.#ender.close();
    this.#sessions.close();
    await this.#endpoint.close();
  }

  async #end(ended: readonly EndedSessions[], keys: readonly PrincipalKey[]): Promise<void> {
    if (this.#isClosed) throw new Mqtt2goError('unavailable', 'The access endpoint is closed.');
    await this.#ender.end(ended, keys);
  }

  async *#held(principals: AsyncIterable<Principal> | Iterable<Principal>): AsyncIterable<KnownPrincipal> {
    let left = 0;
    for await (const principal of principals) {
      for (const known of knownOf(principal)) {
        if (this.#isHolding(known)) yield known;
        else left += 1;
      }
    }
    if (left > 0) this.#log.warn({ principals: left }, "left out: RabbitMQ takes a '.' for the end of a level");
  }

  /**
   * Ends the sessions of whom the copy does not have: they may have been removed while nobody was here. Which password
   * a controller's session came with cannot be seen, so that those from before this process have to come again.
   */
  async #endOthers(): Promise<void> {
    const others = [];
    for await (const session of this.#sessions.list()) {
      const isOld = !session.name.startsWith('urn:') && session.connectedAtMs < this.#openedAtMs;
      if (isOld || this.#desk.admits(session.name, session.clientId) === 'deny') others.push(session);
    }
    for (const session of others) await this.#sessions.endListed(session);
    if (others.length > 0) this.#log.info({ sessions: others.length }, 'sessions ended that may be no longer allowed');
  }

  #auditIn(delayMs: number): void {
    clearTimeout(this.#audit);
    if (this.#isClosed) return;
    this.#audit = setTimeout(() => {
      this.#endOthers()
        .catch((error: unknown) => this.#log.warn({ err: error }, 'sessions could not be looked through'))
        .finally(() => this.#auditIn(this.#auditIntervalMs));
    }, delayMs);
    this.#audit.unref();
  }

  async #rebuild(rebuild: () => Promise<void>, retryMs = this.#rebuildRetryMs): Promise<void> {
    if (!this.#rebuilds.has(rebuild) || this.#isClosed) return;
    try {
      await rebuild();
    } catch (error) {
      this.#log.warn({ err: error, retryMs }, 'the access copy could not be rebuilt');
      const retry = setTimeout(() => {
        this.#retries.delete(retry);
        void this.#rebuild(rebuild, Math.min(retryMs * 2, 10_000));
      }, retryMs);
      retry.unref();
      this.#retries.add(retry);
    }
  }

  async #look(): Promise<void> {
    try {
      await this.#sessions.checkReachable();
      this.#isReachable = true;
    } catch (error) {
      if (this.#isReachable) this.#log.warn({ err: error }, "the broker's management API does not answer");
      this.#isReachable = false;
    }
  }
}

/** Services are not told of, but known; who waits for an activation has no business at a home broker. */
function knownOf(principal: Principal): KnownPrincipal[] {
  switch (principal.kind) {
    case 'device':
      return [principal];
    case 'controller': {
      const { kind, id, homeId, gatewayId, role, password } = principal;
      return [{ kind, id, homeId, gatewayId, role, password }];
    }
    case 'activation':
    case 'service':
      return [];
  }
}

function idsOf(principal: KnownPrincipal): string[] {
  const { id, homeId, gatewayId } = principal;
  return principal.kind === 'device' ? [id, homeId, gatewayId] : [homeId, gatewayId];
}
