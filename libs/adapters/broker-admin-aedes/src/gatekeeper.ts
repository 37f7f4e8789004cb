import {
  type AccessRules,
  type Action,
  accessControlTopic,
  type BrokerRole,
  type BusRequest,
  compileRules,
  type Principal,
  type ServiceName,
  serviceNames,
} from '@mqtt2go/access';
import type { Clock } from '@mqtt2go/ports';
import { topics } from '@mqtt2go/protocol';
import type { AedesPublishPacket, Client, PublishPacket, Subscription } from 'aedes';
import type { BrokerCounters } from './broker-stats.js';
import type { AccessCopy } from './copy/access-copy.js';
import type { GuessThrottle } from './guess-throttle.js';
import type { Log } from './log.js';
import type { SessionList } from './sessions/session-list.js';
import type { SessionStore } from './sessions/session-store.js';

/** Where refused messages go: nobody can subscribe to it. */
const nowhere = '$REFUSED';

export interface GatekeeperOptions {
  readonly role: BrokerRole;
  readonly clock: Clock;
  readonly log: Log;
  readonly copy: AccessCopy;
  readonly sessions: SessionList;
  readonly store: SessionStore;
  readonly throttle: GuessThrottle;
  readonly counters: BrokerCounters;
  readonly maxSubscriptions: number;
  readonly busRequests: readonly BusRequest[];
}

/** Asks the policy about each packet, for aedes. Everything here is synchronous but the delays of the throttle. */
export class Gatekeeper {
  readonly #options: GatekeeperOptions;
  readonly #services: ReadonlyMap<ServiceName, AccessRules>;
  /** Of those who have asked, for as long as their connections last: three kilobytes each. */
  readonly #compiled = new WeakMap<Client, { readonly principal: Principal; readonly rules: AccessRules }>();

  constructor(options: GatekeeperOptions) {
    this.#options = options;
    this.#services = new Map(
      serviceNames.map((id) => [id, compileRules({ kind: 'service', id }, options.role, options.busRequests)]),
    );
  }

  /**
   * A refused message is acknowledged and goes nowhere, as MQTT 3.1.1 has no other answer to it than the
   * end of the connection [MQTT-3.3.5-2], after which most clients would only send it again. Wills come
   * here too.
   */
  authorizePublish(client: Client | null, packet: PublishPacket, done: () => void): void {
    const { log, counters } = this.#options;
    const settle = (isAllowed: boolean): void => {
      if (isAllowed) {
        packet.retain = packet.retain && this.#mayBeRetained(packet.topic);
      } else {
        counters.publishesRefused += 1;
        log.debug({ client: client?.id, topic: packet.topic }, 'a message was refused');
        packet.topic = nowhere;
        packet.payload = '';
        packet.retain = false;
      }
      done();
    };
    if (client === null) return settle(false);
    // aedes puts it in too late for what it keeps for sessions, where a bridge's own messages are left out by it.
    Object.assign(packet, { clientId: client.id });
    this.#decide(client, 'publish', packet.topic, settle);
  }

  authorizeSubscribe(
    client: Client,
    subscription: Subscription,
    done: (error: null, granted: Subscription | null) => void,
  ): void {
    const { log, counters, maxSubscriptions } = this.#options;
    const settle = (isAllowed: boolean): void => {
      if (!isAllowed) {
        counters.subscriptionsRefused += 1;
        log.debug({ client: client.id, filter: subscription.topic }, 'a subscription was refused');
      }
      done(null, isAllowed ? subscription : null);
    };
    const held = subscriptionsOf(client);
    // A filter that it has is replaced, and no further one [MQTT-3.8.4-3]: a session that goes on subscribes all again.
    const isHeld = held.includes(subscription.topic);
    if (held.length >= maxSubscriptions && !isHeld) return settle(false);
    // One that it has given up just before is still there for aedes, which takes until its next turn but one to remove it, and
    // would leave it at that.
    const settleLate = (isAllowed: boolean): void => void setImmediate(() => setImmediate(settle, isAllowed));
    this.#decide(client, 'subscribe', subscription.topic, isHeld ? settleLate : settle);
  }

  /** Asked for each delivery, so that a subscription from before a change of rights delivers by the new ones. */
  authorizeForward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    if (this.allows(client, 'receive', packet.topic)) {
      // aedes does not note the acknowledgement of what it sends as retained, and would send it again for ever.
      if (packet.retain && !client.clean && isForBridge(packet)) packet.retain = false;
      return packet;
    }
    this.#options.counters.deliveriesWithheld += 1;
    if (!client.clean) this.#options.store.discard(client.id, packet.brokerCounter);
    return null;
  }

  /** What the policy says now about a live session. */
  allows(client: Client, action: Action, topic: string): boolean {
    const rules = this.#rulesOf(client);
    return rules?.allows(action, topic, this.#options.clock.now()) ?? false;
  }

  #decide(client: Client, action: Action, topic: string, settle: (isAllowed: boolean) => void): void {
    const identity = this.#options.sessions.identityOf(client);
    if (identity?.key.kind !== 'activation') return settle(this.allows(client, action, topic));
    this.#options.throttle.attempt({
      certificate: identity.key.id,
      // A topic without a code is nobody's, and what one device tries there is not to slow the others' refusals.
      code:
        (topics.activation.parse(topic) ?? topics.wifi.parse(topic))?.params.activationCode ?? `/${identity.key.id}`,
      isRight: () => this.allows(client, action, topic),
      isWanted: () => !client.closed,
      done: settle,
    });
  }

  #rulesOf(client: Client): AccessRules | undefined {
    const identity = this.#options.sessions.identityOf(client);
    if (identity === undefined) return undefined;
    if (identity.rules !== undefined) return identity.rules;
    if (identity.service !== undefined) return this.#services.get(identity.service);
    const principal = this.#options.copy.find(identity.key.kind, identity.key.id)?.principal;
    if (principal === undefined) return undefined;
    const known = this.#compiled.get(client);
    if (known?.principal === principal) return known.rules;
    const rules = compileRules(principal, this.#options.role);
    this.#compiled.set(client, { principal, rules });
    return rules;
  }

  /** Devices' state may be kept for who comes later; requests, answers and codes may not. */
  #mayBeRetained(topic: string): boolean {
    return this.#options.role === 'home' && topics.device.parse(topic) !== undefined;
  }
}

/** True for the topic on which the broker itself takes orders. */
export function isControlTopic(topic: string): boolean {
  return topic === accessControlTopic;
}

/** Marked by the subscription that it is delivered for: bridges hear nothing of what they have said themselves. */
function isForBridge(packet: AedesPublishPacket): boolean {
  return 'nl' in packet && packet.nl === true;
}

/** aedes keeps them by filter in the client, which its types leave out. */
function subscriptionsOf(client: Client): readonly string[] {
  return 'subscriptions' in client && typeof client.subscriptions === 'object' && client.subscriptions !== null
    ? Object.keys(client.subscriptions)
    : [];
}
