import type { Duplex } from 'node:stream';
import {
  type AccessRules,
  type BrokerRole,
  type BusRequest,
  type Principal,
  type ServiceName,
  subscriptionNoticesTopic,
} from '@mqtt2go/access';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { Aedes, type Client, type Subscription } from 'aedes';
import { type BrokerLimits, defaultLimits, maxServiceBufferedBytes } from './broker-limits.js';
import { type BrokerStats, newCounters } from './broker-stats.js';
import { AdmissionDesk } from './connections/admission.js';
import type { Arrival } from './connections/arrival.js';
import { DeviceTrust } from './connections/device-trust.js';
import { Entrance } from './connections/entrance.js';
import { type Breach, guardConnection } from './connections/guarded-connection.js';
import {
  type Listener,
  type ListenerEvents,
  listenTls,
  listenWss,
  listOf,
  type ServerIdentity,
  type ShownIdentity,
  type TlsListenerOptions,
} from './connections/listeners.js';
import { listenShared } from './connections/shared-port.js';
import { streamPair } from './connections/stream-pair.js';
import { ControlEndpoint } from './control/control-endpoint.js';
import { takeOrders } from './control/take-orders.js';
import { AccessCopy, acceptsSerial, isSamePassword } from './copy/access-copy.js';
import { PasswordCheck } from './copy/password-check.js';
import { Gatekeeper } from './gatekeeper.js';
import { GuessThrottle, type Schedule } from './guess-throttle.js';
import type { Log } from './log.js';
import { KeptSessions } from './sessions/kept-sessions.js';
import { SessionList } from './sessions/session-list.js';
import { SessionStore } from './sessions/session-store.js';
import { writeNotice } from './subscription-notices.js';

export interface EmbeddedBrokerOptions {
  readonly role: BrokerRole;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<BrokerLimits>;
  /** What can be asked on the service bus (the messaging `contracts`); needed for the role `bus`, and only there. */
  readonly busRequests?: readonly BusRequest[];
  /** Common names of certificates that a whole model shares; only for the role `activation`. None by default. */
  readonly batchCertificateNames?: readonly string[];
  /** Lets a device that shows no certificate in with its id and code; only for the role `activation`. Off by default. */
  readonly initializationAccounts?: boolean;
  /** For tests: runs the delays of wrong activation codes. */
  readonly schedule?: Schedule;
}

/** aedes puts a refusal, which is greater (MQTT-3.9.3-2), in the place of the QoS. */
const highestQos: number = 2;

/**
 * An MQTT 3.1.1 broker in this process, on aedes: the home's, the Discovery server's, or the service bus.
 * Who comes in and what they may do there follows from the access copy, which is empty at the start and
 * given over {@link accessControlTopic}; services are known by their certificate's name alone.
 */
export class EmbeddedBroker {
  readonly #role: BrokerRole;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #limits: BrokerLimits;
  readonly #counters = newCounters();
  readonly #sessions = new SessionList();
  readonly #copy: AccessCopy;
  readonly #store: SessionStore;
  readonly #throttle: GuessThrottle;
  readonly #gatekeeper: Gatekeeper;
  readonly #entrance: Entrance;
  readonly #aedes: Aedes;
  readonly #ready: Promise<void>;
  readonly #listeners = new Set<Listener>();
  readonly #trust = new DeviceTrust();
  readonly #connections = new Set<Duplex>();
  readonly #keptSessions: KeptSessions;
  #isClosed = false;

  /** @throws Mqtt2goError `configuration_invalid` for a bus without requests, which would refuse everything */
  constructor(options: EmbeddedBrokerOptions) {
    const { role, clock, log, busRequests = [], batchCertificateNames = [], schedule } = options;
    if (role === 'bus' && busRequests.length === 0) {
      throw new Mqtt2goError('configuration_invalid', 'A bus without busRequests lets nobody say anything.');
    }
    this.#role = role;
    this.#log = log;
    this.#clock = clock;
    this.#limits = { ...defaultLimits[role], ...options.limits };
    this.#copy = new AccessCopy({ changed: (before, after) => this.#principalChanged(before, after) });
    this.#throttle = new GuessThrottle(schedule);
    this.#store = new SessionStore({
      limits: this.#limits,
      isService: (clientId) => clientId.startsWith('service/'),
      maySubscribe: (client, filter) => this.#gatekeeper.allows(client, 'subscribe', filter),
    });
    this.#keptSessions = new KeptSessions(this.#store);
    this.#gatekeeper = new Gatekeeper({
      role,
      clock,
      log,
      copy: this.#copy,
      sessions: this.#sessions,
      store: this.#store,
      throttle: this.#throttle,
      counters: this.#counters,
      maxSubscriptions: this.#limits.maxSubscriptionsPerClient,
      busRequests,
    });
    const desk = new AdmissionDesk({
      role,
      clock,
      copy: this.#copy,
      passwords: new PasswordCheck(),
      throttle: this.#throttle,
      batchCertificateNames: new Set(batchCertificateNames),
      initializationAccounts: options.initializationAccounts ?? false,
    });
    this.#entrance = new Entrance({
      desk,
      sessions: this.#sessions,
      kept: this.#keptSessions,
      counters: this.#counters,
      log,
    });
    this.#aedes = this.#createAedes();
    const endpoint = new ControlEndpoint({
      copy: this.#copy,
      sessionsClosed: () => this.#sessions.closed(),
      setTrustAnchors: (certificates) => this.#trust.set(certificates),
      log,
    });
    this.#ready = this.#aedes.listen().then(() => takeOrders(this.#aedes, endpoint));
  }

  /**
   * Opens a TLS listener for devices (and on the home broker controllers).
   * `optional`: who shows no certificate needs a password. `required`: TLS ends without one.
   * @throws Mqtt2goError `port_in_use`
   */
  async listenTls(options: TlsListenerOptions): Promise<{ port: number }> {
    const ca = listOf(options.ca);
    const withAnchors = { ...options, ca: [...ca, ...this.#trust.anchors] };
    const listener = await this.#open(() => listenTls('tls', withAnchors, this.#limits, this.#events, this.#clock));
    this.#trust.add(listener, ca);
    return { port: listener.port };
  }

  /**
   * Opens the one port of a gateway in the house, on its home broker: for the home's devices and controllers, and for the
   * devices that come to `activation` with a pre-loaded certificate or an initialization account. Same errors.
   */
  async listenShared(options: ServerIdentity & { ca: string }, activation: EmbeddedBroker): Promise<{ port: number }> {
    const behind = {
      home: {
        serve: this.#events.connected,
        hasController: (username: string) => this.#copy.find('controller', username) !== undefined,
      },
      activation: { serve: activation.#events.connected },
    };
    await activation.#ready;
    const parts = { behind, limits: this.#limits, events: this.#events, log: this.#log, clock: this.#clock };
    const listener = await this.#open(() => listenShared(options, parts));
    activation.#trust.add(listener, [options.ca]);
    return { port: listener.port };
  }

  /** Opens a listener for MQTT over WebSocket over TLS; passwords only. Same errors. */
  async listenWss(options: ServerIdentity): Promise<{ port: number }> {
    const listener = await this.#open(() => listenWss(options, this.#limits, this.#events));
    return { port: listener.port };
  }

  /** Opens a listener for services: mutual TLS, `ca` being the services' authority. Same errors. */
  async listenServices(options: ServerIdentity & { ca: string | readonly string[] }): Promise<{ port: number }> {
    const listener = await this.#open(() =>
      listenTls('services', { ...options, clientCertificates: 'required' }, this.#limits, this.#events, this.#clock),
    );
    return { port: listener.port };
  }

  /** What the doors of these kinds show to those who come from now on. */
  setIdentity(doors: readonly Listener['door'][], identity: ShownIdentity): void {
    for (const listener of this.#listeners) if (doors.includes(listener.door)) listener.setIdentity(identity);
  }

  /**
   * A connection for a service in this process, ready for an MQTT client.
   * @param rules what it may do there, where that is not what the service may
   * @throws Mqtt2goError `unavailable` once the broker is closed
   */
  connectInProcess(service: ServiceName, rules?: AccessRules): Duplex {
    if (this.#isClosed) throw new Mqtt2goError('unavailable', 'The broker in this process is closed.');
    const [near, far] = streamPair();
    void this.#ready.then(() =>
      this.#serve(far, { door: 'in-process', from: 'this process', service, ...(rules && { rules }) }),
    );
    return near;
  }

  /** Figures for metrics and health. */
  stats(): BrokerStats {
    return {
      connections: this.#connections.size,
      sessions: this.#sessions.size,
      keptSessions: this.#store.size,
      principals: this.#copy.size,
      isCopyComplete: this.#copy.isComplete,
      counters: { ...this.#counters, refused: { ...this.#counters.refused } },
    };
  }

  /** Closes listeners and connections. Resolves when all are gone; safe to call twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#ready;
    const listeners = [...this.#listeners].map((listener) => listener.close());
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    await Promise.all(listeners);
  }

  #createAedes(): Aedes {
    const gatekeeper = this.#gatekeeper;
    const aedes = new Aedes({
      persistence: this.#store,
      // Unlimited: with a limit, so many messages to clients that do not read would stop all others.
      concurrency: 0,
      connectTimeout: this.#limits.connectTimeoutMs,
      // A limit of MQTT 3.1 on ids that are our own here.
      maxClientsIdLength: 512,
      maxTopicLevels: 16,
      preConnect: (client, packet, done) => {
        this.#entrance.identify(client, packet);
        done(null, true);
      },
      authenticate: (client, _username, _password, done) => {
        this.#entrance.admit(client).then(
          (admission) => {
            if (admission.outcome === 'admitted') return done(null, true);
            const error = Object.assign(new Error(admission.reason), { returnCode: admission.returnCode });
            done(error, false);
          },
          (error: unknown) => {
            this.#log.error({ err: error }, 'a client could not be authenticated');
            done(Object.assign(new Error('internal'), { returnCode: 3 }), false);
          },
        );
      },
      authorizePublish: (client, packet, done) => gatekeeper.authorizePublish(client, packet, done),
      authorizeSubscribe: (client, subscription, done) => gatekeeper.authorizeSubscribe(client, subscription, done),
      authorizeForward: (client, packet) => gatekeeper.authorizeForward(client, packet),
    });
    const failed = (client: Client, error: Error): void => {
      this.#counters.connectionErrors += 1;
      this.#log.debug({ client: client.id, reason: error.message }, 'a connection has ended in an error');
    };
    aedes.on('clientError', failed);
    aedes.on('connectionError', failed);
    aedes.on('client', (client) => this.#store.connected(client.id));
    aedes.on('clientDisconnect', (client) => this.#store.disconnected(client.id));
    if (this.#role === 'home') aedes.on('subscribe', (subscriptions, client) => this.#tellOf(subscriptions, client));
    aedes.setMaxListeners(0);
    return aedes;
  }

  /** aedes has a message of its own for it, of QoS 0, which overtakes those of QoS 1. */
  #tellOf(subscriptions: readonly Subscription[], client: Client): void {
    const identity = this.#sessions.identityOf(client);
    const filters = subscriptions.filter(({ qos }) => qos <= highestQos).map(({ topic }) => topic);
    if (identity === undefined || filters.length === 0) return;
    const deviceId = identity.key.kind === 'device' ? identity.key.id : undefined;
    const payload = writeNotice({ deviceId, filters });
    const notice = { cmd: 'publish', topic: subscriptionNoticesTopic, payload, qos: 1, retain: false } as const;
    this.#aedes.publish({ ...notice, dup: false }, () => undefined);
  }

  readonly #events: ListenerEvents = {
    connected: (connection, arrival) => this.#serve(connection, arrival),
    failed: (error, from) => {
      this.#counters.handshakesFailed += 1;
      this.#log.debug({ from, reason: error.message }, 'a client did not get through the handshake');
    },
  };

  async #open(listen: () => Promise<Listener>): Promise<Listener> {
    await this.#ready;
    const listener = await listen();
    this.#listeners.add(listener);
    return listener;
  }

  #serve(connection: Duplex, arrival: Arrival): void {
    if (this.#isClosed || connection.destroyed) {
      connection.destroy();
      return;
    }
    const { maxPacketBytes, maxConnectPacketBytes, maxServicePacketBytes, maxBufferedBytes } = this.#limits;
    const isService = arrival.door === 'services' || arrival.door === 'in-process';
    const served: { client?: Client } = {};
    const isAdmitted = (): boolean =>
      served.client !== undefined && this.#sessions.identityOf(served.client) !== undefined;
    this.#connections.add(connection);
    connection.once('close', () => this.#connections.delete(connection));
    this.#entrance.arrived(connection, arrival);
    guardConnection(connection, {
      maxPacketBytes: () => {
        if (isService) return maxServicePacketBytes;
        return isAdmitted() ? maxPacketBytes : maxConnectPacketBytes;
      },
      maxBufferedBytes: () => (isService ? maxServiceBufferedBytes : maxBufferedBytes),
      ...(!isService && {
        inbound: { burstBytes: this.#limits.inboundBurstBytes, bytesPerSecond: this.#limits.inboundBytesPerSecond },
      }),
      onBreach: (breach) => this.#breached(breach, served.client),
      onSlowed: () => {
        this.#counters.sendersSlowed += 1;
      },
    });
    served.client = this.#aedes.handle(connection);
  }

  #breached(breach: Breach, client: Client | undefined): void {
    if (breach === 'packet_too_large') this.#counters.packetsTooLarge += 1;
    else this.#counters.slowReadersClosed += 1;
    this.#log.debug({ client: client?.id, reason: breach }, 'a connection went over a limit');
  }

  #principalChanged(before: Principal | undefined, after: Principal | undefined): void {
    if (after === undefined) {
      if (before === undefined) return;
      this.#sessions.close(before);
      this.#keptSessions.forget(before);
      return;
    }
    switch (after.kind) {
      case 'device':
        // Its home is back. What it subscribed to before would have messages kept for it here that others keep for it, too.
        if (before?.kind === 'device' && before.hasMoved === true && after.hasMoved !== true) {
          this.#keptSessions.forgetIdle(after);
        }
        return this.#sessions.close(after, ({ certificateSerial }) => !acceptsSerial(after, certificateSerial));
      case 'controller':
        return this.#sessions.close(
          after,
          ({ password }) => password === undefined || !isSamePassword(password, after.password),
        );
      case 'activation':
        if (before?.kind !== 'activation' || before.activationCode !== after.activationCode) {
          this.#throttle.expect(after.id);
        }
        return;
      case 'service':
        return;
    }
  }
}
