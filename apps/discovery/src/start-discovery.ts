import { type BrokerLink, BusServer, type Sharing } from '@mqtt2go/messaging';
import { refuseUntrustedClients } from '@mqtt2go/pki';
import type { RevisionRegistry } from '@mqtt2go/plugin-api';
import type { BrokerAdmin, Clock } from '@mqtt2go/ports';
import {
  createRegistry,
  earlyProblems,
  type HttpOptions,
  ProblemFilter,
  type ServiceHandle,
  startNestService,
} from '@mqtt2go/runtime';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { ActivationMetrics } from './claiming/activation-metrics.js';
import { ActivationTraffic } from './claiming/activation-traffic.js';
import { DiscoveryModule } from './discovery.module.js';
import { openApiDocument } from './rest/openapi.js';
import { requestValidation } from './rest/request-validation.js';
import { methodsOf, openApiPath } from './rest/served-paths.js';

const bodyLimitBytes = 65_536;
/** From the first byte of a request to the last. */
const requestTimeoutMs = 10_000;

export interface DiscoveryDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly databaseUrl: string;
  /** Database connections at most. */
  readonly poolSize?: number;
  readonly busLink: BrokerLink;
  readonly activationLink: BrokerLink;
  /** The activation broker's access; the caller's to close. */
  readonly brokerAdmin: BrokerAdmin;
  /** 32 bytes in base64: what bundles are encrypted with at rest. */
  readonly encryptionKey: string;
  /** A plugin host with the revisions that are spoken; the caller's to start and stop. */
  readonly plugins: { readonly revisions: RevisionRegistry };
  /** The Discovery server's REST side. Without one, announcements come over the bus, and devices to the home's own port. */
  readonly rest?: RestListener | undefined;
  /** Share the bus's requests with other replicas; needs a broker with shared subscriptions. */
  readonly sharedBus?: boolean;
  /** How the activation broker's messages are shared with other replicas; not at all by default. */
  readonly activationSharing?: Sharing | undefined;
  /**
   * Other processes of the service change the same database: a principal is locked while the broker is told of it.
   * As `sharedBus` by default.
   */
  readonly hasReplicas?: boolean;
  /** How often expired activations are removed; every 5 seconds by default. */
  readonly sweepIntervalMs?: number;
}

export interface RestListener {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** PEM: the services' CA, whose certificates callers come with. */
  readonly ca: string;
  /** PEM: certificate and chain of the Discovery server. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface DiscoveryHandle extends ServiceHandle {
  /** The bound port of the REST side, if there is one. */
  readonly restPort: number | undefined;
}

/**
 * Starts the Discovery server: devices that wait for their activation, over REST or the bus, and on the activation broker.
 * @throws Mqtt2goError `port_in_use`; `unavailable` without the database; `configuration_invalid` for the encryption key
 */
export async function startDiscovery(deps: DiscoveryDeps): Promise<DiscoveryHandle> {
  const { log, clock, busLink, rest, sharedBus = false } = deps;
  const registry = createRegistry('discovery');
  const service = await startNestService({
    name: 'discovery',
    module: DiscoveryModule.forRoot(deps, registry),
    log,
    registry,
    strategies: [new BusServer({ link: busLink, service: 'discovery', shared: sharedBus })],
    checks: (app) => {
      const traffic = app.get(ActivationTraffic);
      return [{ name: 'activation broker', check: () => traffic.checkHealth() }];
    },
    ...(rest && { http: restOptions(rest, clock, log) }),
  });
  return { ...service, restPort: service.httpPort };
}

function restOptions({ host, port, ca, cert, key }: RestListener, clock: Clock, log: Logger): HttpOptions {
  return {
    host,
    port,
    bodyLimitBytes,
    https: {
      ca,
      cert,
      key,
      requestCert: true,
      // By refuseUntrustedClients, which does not go by the system's clock.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      requestTimeout: requestTimeoutMs,
    },
    errors: earlyProblems,
    configure: (app) => {
      refuseUntrustedClients(app.getHttpServer(), () => ({ trustAnchors: [ca], nowMs: clock.now() }));
      configureRest(app, log.child({ service: 'discovery' }));
    },
  };
}

function configureRest(app: NestFastifyApplication, log: Logger): void {
  const metrics = app.get(ActivationMetrics);
  app.useGlobalPipes(requestValidation());
  app.useGlobalFilters(new ProblemFilter(log, (error) => metrics.refused(error.code), methodsOf));
  let document: object | undefined;
  app
    .getHttpAdapter()
    .getInstance()
    .get(openApiPath, () => {
      document ??= openApiDocument(app);
      return document;
    });
}
