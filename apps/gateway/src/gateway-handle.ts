import type { PluginHost } from '@mqtt2go/plugin-api';
import type { FloorClock } from '@mqtt2go/ports';
import { checkHealth, createRegistry, type ServiceHandle } from '@mqtt2go/runtime';
import { Gauge } from 'prom-client';
import type { Brokers } from './brokers.js';

/** What is the gateway's own, for health and metrics: embedded brokers, plugins and the clock. */
export function gatewayHandle(brokers: Brokers, plugins: PluginHost, clock: FloorClock): ServiceHandle {
  const registry = createRegistry('gateway');
  const gauge = (name: string, help: string, read: (stats: ReturnType<Brokers['stats']>[number]) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['broker'],
      registers: [registry],
      collect() {
        for (const stats of brokers.stats()) this.set({ broker: stats.broker }, read(stats));
      },
    });
  };
  gauge('mqtt2go_broker_connections', 'Open connections.', (stats) => stats.connections);
  gauge('mqtt2go_broker_sessions', 'Clients that have got in.', (stats) => stats.sessions);
  gauge('mqtt2go_broker_principals', 'Devices and controllers that the broker knows.', (stats) => stats.principals);
  gauge('mqtt2go_broker_refused_total', 'Clients turned away at CONNECT.', ({ counters }) =>
    Object.values(counters.refused).reduce((sum, count) => sum + count, 0),
  );
  gauge(
    'mqtt2go_broker_forbidden_total',
    'Publishes and subscriptions refused.',
    ({ counters }) => counters.publishesRefused + counters.subscriptionsRefused,
  );
  new Gauge({
    name: 'mqtt2go_clock_system_offset_seconds',
    help: "How far the system's clock is from the platform's time; negative when it is behind.",
    registers: [registry],
    collect() {
      this.set(clock.systemOffsetMs / 1_000);
    },
  });
  const checks = [
    { name: 'plugins', check: () => requireAll(plugins) },
    { name: 'access copies', check: () => requireCopies(brokers) },
  ];
  return {
    name: 'gateway',
    health: () => checkHealth('gateway', checks),
    metrics: () => registry.metrics(),
    stop: async () => undefined,
  };
}

/** The platform goes on without a plugin that failed, so this alone does not make it unready unless no revision is left. */
function requireAll(plugins: PluginHost): void {
  if (plugins.revisions.wires.length === 0) throw new Error('no revision of the standard is loaded');
}

function requireCopies(brokers: Brokers): void {
  const empty = brokers.stats().filter(({ broker, isCopyComplete }) => broker !== 'bus' && !isCopyComplete);
  if (empty.length > 0) throw new Error(`not filled yet: ${empty.map(({ broker }) => broker).join(', ')}`);
}
