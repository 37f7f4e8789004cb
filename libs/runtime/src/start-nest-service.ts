import { Server as HttpsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Bus } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { DynamicModule, Type } from '@nestjs/common';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import type { CustomTransportStrategy } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyServerOptions } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { checkHealth, type HealthCheck } from './health.js';
import { NestLogBridge } from './logger.js';
import { createRegistry, type MeasuredServer, measureHandlers } from './metrics/metrics.js';
import { measureDependencies, measureHttp, measureOutbox } from './metrics/service-metrics.js';
import type { ServiceHandle } from './service-handle.js';

/** A NestJS strategy of this project: it can be asked how it is, and is told where to log. */
export type ServiceStrategy = MeasuredServer &
  CustomTransportStrategy & { checkHealth?(): void; useLog?(log: Logger): void };

export interface HttpOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** TLS of the listener, with `requestCert` and `ca` for client certificates; plain HTTP without. */
  readonly https?: ServerOptions;
  /** Larger bodies are refused; 262,144 by default. */
  readonly bodyLimitBytes?: number;
  /** Answers what fails before it reaches NestJS: a path that is no URL, bytes that are no HTTP. */
  readonly errors?: Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler'>;
  /** Filters, OpenAPI and the like, before the listener opens. */
  readonly configure?: (app: NestFastifyApplication) => void | Promise<void>;
}

export interface NestServiceOptions {
  readonly name: string;
  readonly module: Type | DynamicModule;
  /** The process's; the service's lines are marked with its name. */
  readonly log: Logger;
  readonly strategies: readonly ServiceStrategy[];
  readonly http?: HttpOptions;
  /** Further dependencies; the database, the bus and the strategies are looked at anyway. */
  readonly checks?: (app: NestFastifyApplication) => readonly HealthCheck[];
  /** Where the service's own metrics are; see `createRegistry`. */
  readonly registry?: Registry;
}

export interface NestServiceHandle extends ServiceHandle {
  readonly app: NestFastifyApplication;
  /** Set with `http`. */
  readonly httpPort: number | undefined;
  /** Shows a renewed certificate (PEM, with its chain) at the HTTPS listener from now on; who is connected stays. */
  setIdentity(identity: { readonly cert: string; readonly key: string }): void;
}

/**
 * Starts a service: its providers, then its subscriptions, then its HTTP listener. What was started is
 * stopped again when a later part fails.
 * @throws Mqtt2goError `port_in_use`; whatever a provider or strategy refuses with
 */
export async function startNestService(options: NestServiceOptions): Promise<NestServiceHandle> {
  const { name, strategies, http, registry = createRegistry(options.name) } = options;
  const log = options.log.child({ service: name });
  const adapter = new FastifyAdapter({
    bodyLimit: http?.bodyLimitBytes ?? 262_144,
    forceCloseConnections: 'idle',
    ...http?.errors,
    ...(http?.https === undefined ? {} : { https: http.https }),
  });
  const app = await NestFactory.create<NestFastifyApplication>(options.module, adapter, {
    logger: new NestLogBridge(options.log),
    // Or NestJS would end the process itself, in its own words.
    abortOnError: false,
  });
  try {
    measureHandlers(strategies, registry);
    for (const strategy of strategies) {
      strategy.useLog?.(log);
      app.connectMicroservice({ strategy });
    }
    if (http !== undefined) measureHttp(registry, app);
    await http?.configure?.(app);
    await app.init();
    await app.startAllMicroservices();
    if (http !== undefined) {
      await listen(app, http);
    }
  } catch (error) {
    await stop(app, strategies);
    throw error;
  }
  log.debug('started');
  const checks = [...ownChecks(app, strategies), ...(options.checks?.(app) ?? [])];
  measureDependencies(registry, async () => (await checkHealth(name, checks)).dependencies);
  const dataSource = find(app, DataSource);
  const outbox = find(app, Outbox);
  if (dataSource !== undefined && outbox !== undefined) measureOutbox(registry, dataSource, outbox);
  return {
    name,
    app,
    httpPort: http === undefined ? undefined : boundPort(app),
    setIdentity({ cert, key }) {
      const server: unknown = app.getHttpServer();
      if (server instanceof HttpsServer) server.setSecureContext({ ...http?.https, cert, key });
    },
    health: () => checkHealth(name, checks),
    metrics: () => registry.metrics(),
    stop: async () => {
      await stop(app, strategies);
      log.debug('stopped');
    },
  };
}

/** First no new messages and the running handlers' end, while all they need is there; then the rest. */
async function stop(app: NestFastifyApplication, strategies: readonly ServiceStrategy[]): Promise<void> {
  await Promise.all(
    strategies.map(async (strategy) => {
      await strategy.close();
    }),
  );
  await app.close();
}

async function listen(app: NestFastifyApplication, { host, port }: HttpOptions): Promise<void> {
  try {
    await app.listen(port, host);
  } catch (error) {
    throw portInUse(error, port) ?? error;
  }
}

/** The coded error for a port that is taken, or undefined for any other. */
export function portInUse(error: unknown, port: number): Mqtt2goError | undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'EADDRINUSE') {
    return new Mqtt2goError('port_in_use', `port ${port} is in use by another program`, { cause: error });
  }
  return undefined;
}

function boundPort(app: NestFastifyApplication): number {
  const address: AddressInfo | string | null = app.getHttpServer().address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function ownChecks(app: NestFastifyApplication, strategies: readonly ServiceStrategy[]): HealthCheck[] {
  const dataSource = find(app, DataSource);
  const bus = find(app, Bus);
  return [
    ...(dataSource === undefined ? [] : [{ name: 'database', check: () => dataSource.query('SELECT 1') }]),
    ...(bus === undefined ? [] : [{ name: 'bus', check: () => bus.checkHealth() }]),
    ...strategies.map((strategy) => ({ name: strategy.constructor.name, check: () => strategy.checkHealth?.() })),
  ];
}

/** A provider if there is one; looked up first, because NestJS logs a failed `get` as an error. */
function find<T>(app: NestFastifyApplication, token: Type<T>): T | undefined {
  const modules = [...app.get(ModulesContainer).values()];
  return modules.some(({ providers }) => providers.has(token)) ? app.get(token, { strict: false }) : undefined;
}
