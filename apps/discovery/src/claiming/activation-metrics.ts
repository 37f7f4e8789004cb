import type { ErrorCode } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Registry } from 'prom-client';
import { WaitingActivations } from '../activation/waiting-activations.js';

/** What the Discovery server counts. */
@Injectable()
export class ActivationMetrics {
  private readonly claims: Counter;
  private readonly refusals: Counter<'code'>;

  constructor(waiting: WaitingActivations, registry: Registry) {
    const registers = [registry];
    this.claims = new Counter({
      name: 'mqtt2go_discovery_claims_total',
      help: 'Devices that were given their broker data for the first time.',
      registers,
    });
    this.refusals = new Counter({
      name: 'mqtt2go_discovery_refusals_total',
      help: 'Requests that were refused, by the code of the error.',
      labelNames: ['code'],
      registers,
    });
    new Gauge({
      name: 'mqtt2go_discovery_waiting_activations',
      help: 'Devices that wait for their activation.',
      registers,
      async collect() {
        // Without the database nobody knows, and the last value stays.
        const count = await waiting.count().catch(() => undefined);
        if (count !== undefined) this.set(count);
      },
    });
  }

  claimed(): void {
    this.claims.inc();
  }

  refused(code: ErrorCode): void {
    this.refusals.inc({ code });
  }
}
