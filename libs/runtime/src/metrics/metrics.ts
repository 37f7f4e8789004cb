import { BusContext, intakeBacklogs } from '@mqtt2go/messaging';
import type { Server } from '@nestjs/microservices';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

let processRegistry: Registry | undefined;

/** Metrics of a service; each line is labelled with its name. */
export function createRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  return registry;
}

/** Memory, event loop, CPU, messages that are being handled: once for a process, whatever runs in it. */
export function processMetrics(): Promise<string> {
  if (processRegistry === undefined) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
    measureIntakes(processRegistry);
  }
  return processRegistry.metrics();
}

function measureIntakes(registry: Registry): void {
  new Gauge({
    name: 'mqtt2go_intake_messages',
    help: 'Messages and bus requests that have come in and are not done, by MQTT client: running, or waiting their turn.',
    labelNames: ['client', 'state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { client, running, waiting } of intakeBacklogs()) {
        this.inc({ client, state: 'running' }, running);
        this.inc({ client, state: 'waiting' }, waiting);
      }
    },
  });
}

/** Of NestJS's servers, whatever their events and states are called. */
export type MeasuredServer = Pick<Server, 'setOnProcessingStartHook' | 'setOnProcessingEndHook'>;

/** Measures how long a strategy's handlers take, by pattern. */
export function measureHandlers(servers: readonly MeasuredServer[], registry: Registry): void {
  const seconds = new Histogram({
    name: 'mqtt2go_handler_duration_seconds',
    help: 'Time from the arrival of a bus request to its answer.',
    labelNames: ['pattern'],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  const running = new WeakMap<object, () => void>();
  for (const server of servers) {
    server.setOnProcessingStartHook((_transport, context, done) => {
      if (context instanceof BusContext) {
        running.set(context, seconds.startTimer({ pattern: context.getTopic() }));
      }
      return done();
    });
    server.setOnProcessingEndHook((_transport, context) => {
      if (typeof context === 'object' && context !== null) {
        running.get(context)?.();
      }
    });
  }
}

/**
 * One exposition from several. Services in one process have metrics of the same names, and the text form
 * wants all lines of a name together under one HELP and TYPE.
 */
export function mergeMetrics(expositions: readonly string[]): string {
  const families = new Map<string, { head: string[]; samples: string[] }>();
  for (const exposition of expositions) {
    let name = '';
    for (const line of exposition.split('\n')) {
      if (line === '') {
        continue;
      }
      const comment = /^# (?:HELP|TYPE) (\S+)/.exec(line);
      name = comment?.[1] ?? name;
      const family = families.get(name) ?? { head: [], samples: [] };
      families.set(name, family);
      const lines = comment === null ? family.samples : family.head;
      if (comment === null || !lines.includes(line)) {
        lines.push(line);
      }
    }
  }
  return [...families.values()].map(({ head, samples }) => `${[...head, ...samples].join('\n')}\n`).join('\n');
}
