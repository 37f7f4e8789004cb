import { Counter, Histogram, type Registry } from 'prom-client';

export interface MeasuredBroker {
  readonly name: string;
  /** Principals that were found to be wrong and were put right, since the start. */
  readonly repairs: () => number;
}

/**
 * How far brokers are behind the database.
 * @returns to be called with a broker's name after each change, with the time from its commit to the broker's confirmation
 */
export function measureAccess(
  registry: Registry,
  brokers: readonly MeasuredBroker[],
): (broker: string, durationMs: number) => void {
  const registers = [registry];
  const seconds = new Histogram({
    name: 'mqtt2go_access_lag_seconds',
    help: 'Time from the commit of a change of access until the broker acts by it.',
    labelNames: ['broker'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  new Counter({
    name: 'mqtt2go_access_repairs_total',
    help: 'Devices and controllers of which a broker knew something else than the database, found and put right.',
    labelNames: ['broker'],
    registers,
    collect() {
      this.reset();
      for (const { name, repairs } of brokers) this.inc({ broker: name }, repairs());
    },
  });
  return (broker, durationMs) => seconds.observe({ broker }, durationMs / 1_000);
}
