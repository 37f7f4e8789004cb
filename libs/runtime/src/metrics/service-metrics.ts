import { Outbox, OutboxMessage } from '@mqtt2go/persistence';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Gauge, Histogram, type Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import type { DependencyHealth } from '../service-handle.js';

/** Whether what the service needs is there: database, bus, brokers. Looked at when somebody asks. */
export function measureDependencies(registry: Registry, check: () => Promise<readonly DependencyHealth[]>): void {
  new Gauge({
    name: 'mqtt2go_dependency_up',
    help: '1 while a dependency (database, bus, broker) can be used, 0 while not.',
    labelNames: ['dependency'],
    registers: [registry],
    async collect() {
      for (const { name, status } of await check()) this.set({ dependency: name }, status === 'up' ? 1 : 0);
    },
  });
}

/** What a service owes others, if it has an outbox. */
export function measureOutbox(registry: Registry, dataSource: DataSource, outbox: Outbox): void {
  if (!dataSource.hasMetadata(OutboxMessage)) return;
  const registers = [registry];
  const failing = new Gauge({
    name: 'mqtt2go_outbox_failing_messages',
    help: 'Effects in the outbox that have failed at least once and are tried again.',
    registers,
  });
  const oldest = new Gauge({
    name: 'mqtt2go_outbox_oldest_age_seconds',
    help: 'Age of the oldest effect in the outbox; 0 when it is empty.',
    registers,
  });
  new Gauge({
    name: 'mqtt2go_outbox_messages',
    help: 'Effects in the outbox: what one service owes another because of a stored change.',
    registers,
    async collect() {
      // Without the database nobody knows, and the last value stays.
      const backlog = await outbox.backlog().catch(() => undefined);
      if (backlog === undefined) return;
      this.set(backlog.messages);
      failing.set(backlog.failing);
      oldest.set(backlog.oldestSeconds);
    },
  });
}

/** How long HTTP requests take, by route. */
export function measureHttp(registry: Registry, app: NestFastifyApplication): void {
  const seconds = new Histogram({
    name: 'mqtt2go_http_request_duration_seconds',
    help: 'Time from an HTTP request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onResponse', async (request, reply) => {
      // Paths that there are not would each be a series of their own.
      const route = request.routeOptions.url ?? 'none';
      seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1_000);
    });
}
