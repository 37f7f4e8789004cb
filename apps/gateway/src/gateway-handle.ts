import type { PluginHost } from '@mqtt2go/plugin-api';
import { advertiserProblem, type AdvertiserState, type BrokerAdvertiser, type FloorClock } from '@mqtt2go/ports';
import { localBrokerHost } from '@mqtt2go/protocol';
import { checkHealth, createRegistry, type HealthCheck, type ServiceHandle } from '@mqtt2go/runtime';
import { Gauge } from 'prom-client';
import type { Brokers } from './brokers.js';

/** What is the gateway's own, for health and metrics: embedded brokers, plugins, the clock, its name in the house's network. */
export function gatewayHandle(
  brokers: Pick<Brokers, 'stats'>,
  plugins: PluginHost,
  clock: FloorClock,
  advertiser?: BrokerAdvertiser,
): ServiceHandle {
  const registry = createRegistry('gateway');
  measureName(registry, advertiser);
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
  const checks: HealthCheck[] = [
    { name: 'plugins', check: () => requireAll(plugins) },
    { name: 'access copies', check: () => requireCopies(brokers) },
  ];
  // All that is in the house goes on; new devices find another gateway, or may.
  if (advertiser) checks.push({ name: localBrokerHost, check: () => requireName(advertiser), degrades: true });
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

function requireCopies(brokers: Pick<Brokers, 'stats'>): void {
  const empty = brokers.stats().filter(({ broker, isCopyComplete }) => broker !== 'bus' && !isCopyComplete);
  if (empty.length > 0) throw new Error(`not filled yet: ${empty.map(({ broker }) => broker).join(', ')}`);
}

function requireName({ state }: BrokerAdvertiser): void {
  const problem = advertiserProblem(state);
  if (problem) throw problem;
}

const nameStates = ['off', 'claiming', 'advertised', 'name-taken'] as const;

function otherGateways(state: AdvertiserState): number {
  if (state.kind === 'advertised') return state.rivals.length;
  return state.kind === 'name-taken' ? Math.max(1, state.holders.length) : 0;
}

function measureName(registry: ReturnType<typeof createRegistry>, advertiser: BrokerAdvertiser | undefined): void {
  new Gauge({
    name: 'mqtt2go_local_name',
    help: 'How it is with MQTT2GO.local in the house’s network: 1 for the state that it is in.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      if (!advertiser) return;
      for (const state of nameStates) this.set({ state }, advertiser.state.kind === state ? 1 : 0);
    },
  });
  new Gauge({
    name: 'mqtt2go_other_gateways',
    help: 'Gateways in the house’s network that have or want the same name.',
    registers: [registry],
    collect() {
      this.set(advertiser ? otherGateways(advertiser.state) : 0);
    },
  });
}
