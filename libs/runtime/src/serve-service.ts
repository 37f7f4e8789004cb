import { connect } from 'node:net';
import type { Logger } from 'pino';
import { checkHealth } from './health.js';
import { serveOperations } from './serve-operations.js';
import type { ServiceHandle } from './service-handle.js';

export interface ServedService {
  readonly name: string;
  readonly log: Logger;
  /** Health and metrics, on loopback; 0 lets the system choose. */
  readonly healthPort: number;
  /** What the service waits for when it starts, by name: URLs. */
  readonly needs: Readonly<Record<string, string>>;
  readonly start: () => Promise<ServiceHandle>;
}

/**
 * Runs a service that is its process's only one. Health is served from the first moment: until the service has started
 * it is down, and names what cannot be reached.
 * @throws Mqtt2goError `port_in_use`; whatever `start` refuses with
 */
export async function serveService({ name, log, healthPort, needs, start }: ServedService): Promise<ServiceHandle> {
  let handle: ServiceHandle | undefined;
  const starting = startingService(name, needs);
  const operations = await serveOperations(() => [handle ?? starting], { host: '127.0.0.1', port: healthPort });
  try {
    handle = await start();
  } catch (error) {
    await operations.close();
    throw error;
  }
  const started = handle;
  const addresses = Object.fromEntries(Object.entries(needs).map(([need, url]) => [need, withoutCredentials(url)]));
  log.info({ service: name, healthPort: operations.port, ...addresses }, 'ready');
  return {
    ...started,
    async stop() {
      await operations.close();
      await started.stop();
    },
  };
}

function startingService(name: string, needs: ServedService['needs']): ServiceHandle {
  const checks = [
    { name: 'start', check: () => Promise.reject(new Error('not finished')) },
    ...Object.entries(needs).map(([need, url]) => ({ name: need, check: () => reach(url) })),
  ];
  return {
    name,
    health: () => checkHealth(name, checks),
    metrics: async () => '',
    stop: async () => undefined,
  };
}

const defaultPorts: Readonly<Record<string, number>> = { 'postgres:': 5432, 'postgresql:': 5432, 'mqtts:': 8883 };
const reachTimeoutMs = 1_500;

/** Resolves if something listens there. */
async function reach(url: string): Promise<void> {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect({ host, port: port === '' ? (defaultPorts[protocol] ?? 443) : Number(port) });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
      socket.setTimeout(reachTimeoutMs, () => reject(new Error(`no connection to ${host} in ${reachTimeoutMs} ms`)));
    });
  } finally {
    socket.destroy();
  }
}

function withoutCredentials(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
