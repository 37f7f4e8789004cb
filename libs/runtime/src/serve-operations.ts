import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import { mergeMetrics, processMetrics } from './metrics/metrics.js';
import type { ServiceHandle } from './service-handle.js';
import { portInUse } from './start-nest-service.js';

export interface OperationsOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export interface OperationsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `/health/live` (the process runs), `/health/ready` (503 until all that the services need is there) and
 * `/metrics`, over plain HTTP. `handles` may be a function when services come up later.
 * @throws Mqtt2goError `port_in_use`
 */
export async function serveOperations(
  handles: readonly ServiceHandle[] | (() => readonly ServiceHandle[]),
  { host, port }: OperationsOptions,
): Promise<OperationsServer> {
  const services = typeof handles === 'function' ? handles : () => handles;
  const server = fastify({ forceCloseConnections: true });
  server.get('/health/live', () => ({ status: 'up' }));
  server.get('/health/ready', async (_request, reply) => {
    const reports = await Promise.all(services().map((handle) => handle.health()));
    const worst = (['down', 'degraded'] as const).find((status) => reports.some((report) => report.status === status));
    const status = reports.length === 0 ? 'down' : (worst ?? 'up');
    return reply.code(status === 'down' ? 503 : 200).send({ status, services: reports });
  });
  server.get('/metrics', async (_request, reply) => {
    const texts = await Promise.all([processMetrics(), ...services().map((handle) => handle.metrics())]);
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(mergeMetrics(texts));
  });
  try {
    await server.listen({ host, port });
  } catch (error) {
    throw portInUse(error, port) ?? error;
  }
  const address: AddressInfo | string | null = server.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () => server.close(),
  };
}
