import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { checkHealth } from './health.js';
import { serveOperations } from './serve-operations.js';
import type { ServiceHandle } from './service-handle.js';

export interface ServedService {
  readonly name: string;
  readonly log: Logger;
  /** The address of health and metrics; loopback by default. */
  readonly healthHost?: string;
  /** 0 lets the system choose. */
  readonly healthPort: number;
  /** What the service needs when it starts, by name: a URL, or several of which one has to answer. */
  readonly needs: Readonly<Record<string, string | readonly string[]>>;
  /** Which of {@link needs} is waited for, however long, before the service is started: that can do no waiting of its own. */
  readonly waitsFor?: readonly string[];
  readonly start: () => Promise<ServiceHandle>;
}

/** Between tries to reach what has to be there first. */
const waitMs = 500;

/**
 * Runs a service that is its process's only one. Health is served from the first moment: until the service has started
 * it is down, and names what cannot be reached.
 * @throws Mqtt2goError `port_in_use`; whatever `start` refuses with
 */
export async function serveService({
  name,
  log,
  healthHost = '127.0.0.1',
  healthPort,
  needs,
  waitsFor = ['database'],
  start,
}: ServedService): Promise<ServiceHandle> {
  let handle: ServiceHandle | undefined;
  const starting = startingService(name, needs);
  const operations = await serveOperations(() => [handle ?? starting], { host: healthHost, port: healthPort });
  try {
    for (const need of waitsFor) await waitFor(need, addresses(needs[need]), log);
    handle = await start();
  } catch (error) {
    await operations.close();
    throw error;
  }
  const started = handle;
  const shown = Object.entries(needs).map(([need, urls]) => [need, addresses(urls).map(withoutCredentials).join(', ')]);
  log.info({ service: name, healthPort: operations.port, ...Object.fromEntries(shown) }, 'ready');
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
    ...Object.entries(needs).map(([need, urls]) => ({ name: need, check: () => reachOne(addresses(urls)) })),
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

function addresses(urls: string | readonly string[] | undefined): readonly string[] {
  return typeof urls === 'string' ? [urls] : (urls ?? []);
}

/** Resolves once something listens there; in a cluster the database, or its name, may come after the service. */
async function waitFor(need: string, urls: readonly string[], log: Logger): Promise<void> {
  if (urls.length === 0) return;
  for (let tries = 0; ; tries += 1) {
    try {
      await reachOne(urls);
      return;
    } catch (error) {
      const reason = error instanceof Error ? error.message || String(error) : String(error);
      if (tries % 120 === 0)
        log.warn({ [need]: urls.map(withoutCredentials).join(', '), reason }, `waiting for the ${need}`);
      await delay(waitMs);
    }
  }
}

/** Resolves if something listens at one of the addresses. */
async function reachOne(urls: readonly string[]): Promise<void> {
  if (urls.length === 1 && urls[0] !== undefined) return reach(urls[0]);
  await Promise.any(urls.map(reach));
}

/** Resolves if something listens there. */
async function reach(url: string): Promise<void> {
  const { protocol, hostname, port: given, searchParams } = new URL(url);
  const port = given === '' ? (defaultPorts[protocol] ?? 443) : Number(given);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  // PostgreSQL's way to name the folder of its socket.
  const folder = searchParams.get('host');
  const socket = connect(folder?.startsWith('/') ? { path: `${folder}/.s.PGSQL.${port}` } : { host, port });
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
