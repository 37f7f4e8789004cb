import { TLSSocket } from 'node:tls';
import { type BrokerLink, BusServer } from '@mqtt2go/messaging';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import {
  createRegistry,
  earlyProblems,
  type HttpOptions,
  type NestServiceHandle,
  ProblemFilter,
  problemContentType,
  problemOf,
  type RestListener,
  type ServiceHandle,
  serviceRest,
  startNestService,
} from '@mqtt2go/runtime';
import type { MoveStateName } from '@mqtt2go/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { FederationModule } from './federation.module.js';
import { linkPath, maxBodyBytes, maxStrangersBytes } from './link/limits.js';
import type { MoverTimes } from './moving/mover-settings.js';
import type { RelayBroker } from './moving/relay-settings.js';
import { gatewayApi } from './rest/gateway-api.js';

/** From the first byte of a request to the last. */
const requestTimeoutMs = 30_000;

export interface FederationDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly databaseUrl: string;
  /** Database connections at most. */
  readonly poolSize?: number;
  readonly busLink: BrokerLink;
  /** 32 bytes in base64. */
  readonly encryptionKey: string;
  /** Share the bus's requests with other replicas; needs a broker with shared subscriptions. */
  readonly sharedBus?: boolean;
  /** Tells this process from the service's others, and is the same after a restart; for a service that has one process by default. */
  readonly replica?: string;
  /** The platform's home brokers, for what is said while a home moves. */
  readonly homeBrokers?: readonly RelayBroker[] | undefined;
  /** Called after each state of a move was stored, before anything further is done. */
  readonly onMoved?: ((state: MoveStateName, moveId: string) => Promise<void> | void) | undefined;
  readonly moverTimes?: Partial<MoverTimes> | undefined;
  /** In the cloud: the gateways' door. */
  readonly cloud?: CloudSide | undefined;
  /** On a gateway that is enrolled at a cloud. */
  readonly gateway?: GatewaySide | undefined;
  /** The operator's REST side; not together with `cloud`, whose door takes its place. */
  readonly rest?: RestListener | undefined;
}

export interface CloudSide {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** `https://host:port`, by which gateways reach the door; in invitations. */
  readonly url: string;
  /** PEM: the operator's root. */
  readonly ca: string;
  /** PEM: certificate and chain of the door. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** What gateways are told of the home brokers. */
  readonly homeBrokers: readonly CloudHomeBroker[];
}

export interface CloudHomeBroker {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** How a gateway is known at its cloud. */
export interface GatewayIdentity {
  readonly homeId: string;
  readonly gatewayId: string;
  /** `https://host:port` of the cloud's door. */
  readonly cloudUrl: string;
  /** PEM: the operator's root. */
  readonly ca: string;
  /** PEM: certificate and chain. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface GatewaySide {
  readonly identity: GatewayIdentity;
  /** To the broker in the house, with a bridge's rights there; undefined to do without the bridge. */
  readonly homeLink: BrokerLink | undefined;
  /** Between attempts of the bridge, from the least to the most; 1,000 and 60,000 by default. */
  readonly bridgeBackoffMs?: { readonly least: number; readonly most: number };
  /** How often the cloud is asked for its manufacturers; every minute by default. */
  readonly manufacturersIntervalMs?: number;
}

/** Its HTTP port is that of the gateways' door, or of the REST side of a gateway. */
export type FederationHandle = Pick<NestServiceHandle, keyof ServiceHandle | 'httpPort' | 'setIdentity'>;

/**
 * Starts the federation service: in the cloud the door that gateways come to, on a gateway the link to its cloud.
 * @throws Mqtt2goError `port_in_use`; `unavailable` without the database
 */
export async function startFederation(deps: FederationDeps): Promise<FederationHandle> {
  const { log, busLink, sharedBus = false } = deps;
  const http = httpOptions(deps);
  const registry = createRegistry('federation');
  return startNestService({
    name: 'federation',
    module: FederationModule.forRoot(deps, registry),
    log,
    registry,
    strategies: [new BusServer({ link: busLink, service: 'federation', shared: sharedBus })],
    ...(http && { http }),
  });
}

function httpOptions({ cloud, rest, clock, log: processLog }: FederationDeps): HttpOptions | undefined {
  const log = processLog.child({ service: 'federation' });
  if (cloud !== undefined) return doorOptions(cloud, log);
  return rest && serviceRest(rest, gatewayApi, { now: () => clock.now(), log });
}

function doorOptions({ host, port, ca, cert, key }: CloudSide, log: Logger): HttpOptions {
  return {
    host,
    port,
    bodyLimitBytes: maxBodyBytes,
    https: {
      ca,
      cert,
      key,
      requestCert: true,
      // A gateway that is about to enrol has no certificate yet; every other verb asks for one.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      requestTimeout: requestTimeoutMs,
    },
    errors: earlyProblems,
    configure: (app) => {
      app.useGlobalFilters(new ProblemFilter(log));
      app.getHttpAdapter().getInstance().addHook('onRequest', turnStrangersAway);
    },
  };
}

/** Before a body is read: without a certificate of the operator's, there is one small question to ask. */
async function turnStrangersAway(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { socket } = request.raw;
  if (socket instanceof TLSSocket && socket.authorized) return;
  const bytes = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
  if (request.url === linkPath('enrol') && bytes <= maxStrangersBytes) return;
  const error = new Mqtt2goError('forbidden', 'The door is for gateways, by their certificates.');
  await reply
    .code(403)
    .header('connection', 'close')
    .type(problemContentType)
    .send(JSON.stringify(problemOf(error, 403)));
}
