import type { Onboarding } from '@mqtt2go/onboarding';
import { openStates } from '@mqtt2go/onboarding';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export type StepName = 'activate' | 'certify' | 'announce' | 'claim' | 'arrive' | 'name';

/** What the operator sees of the onboardings. */
export class OnboardingMetrics {
  private readonly ended: Counter<'outcome'>;
  private readonly seconds: Histogram;
  private readonly stepSeconds: Histogram<'step'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.ended = new Counter({
      name: 'mqtt2go_onboardings_total',
      help: 'Onboardings that have ended, by outcome.',
      labelNames: ['outcome'],
      registers,
    });
    this.seconds = new Histogram({
      name: 'mqtt2go_onboarding_duration_seconds',
      help: 'Time from the request to the named device, the person included.',
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600],
      registers,
    });
    this.stepSeconds = new Histogram({
      name: 'mqtt2go_onboarding_step_duration_seconds',
      help: 'Time that the platform takes for a step.',
      labelNames: ['step'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15],
      registers,
    });
  }

  /** Has the gauge of open onboardings read when somebody asks for it. */
  countOpenBy(registry: Registry, count: () => Promise<ReadonlyMap<string, number>>): void {
    new Gauge({
      name: 'mqtt2go_onboardings_open',
      help: 'Onboardings that are under way, by state.',
      labelNames: ['state'],
      registers: [registry],
      async collect() {
        const counts = await count().catch(() => undefined);
        for (const state of openStates) this.set({ state }, counts?.get(state) ?? 0);
      },
    });
  }

  stored(before: Onboarding, after: Onboarding, nowMs: number): void {
    if (before.state === after.state || openStates.includes(after.state)) return;
    this.ended.inc({ outcome: after.state });
    if (after.state === 'active') this.seconds.observe((nowMs - after.requestedAtMs) / 1_000);
  }

  /** Measures a step, whether or not it succeeds. */
  async measure<T>(step: StepName, work: () => Promise<T>): Promise<T> {
    const end = this.stepSeconds.startTimer({ step });
    try {
      return await work();
    } finally {
      end();
    }
  }
}
