import { recordOnboarding, traced } from '@mqtt2go/messaging';
import type { Onboarding } from '@mqtt2go/onboarding';
import { openStates } from '@mqtt2go/onboarding';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const rememberedOnboardings = 10_000;

export type StepName = 'activate' | 'certify' | 'announce' | 'claim' | 'arrive' | 'name';

/** What the operator sees of the onboardings. */
export class OnboardingMetrics {
  private readonly ended: Counter<'outcome'>;
  private readonly seconds: Histogram;
  private readonly stepSeconds: Histogram<'step'>;
  private readonly transitionSeconds: Histogram<'from' | 'to'>;
  /** Since when the onboardings that this process changed last are in their state. */
  private readonly enteredAtMs = new Map<string, number>();

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
    this.transitionSeconds = new Histogram({
      name: 'mqtt2go_onboarding_transition_duration_seconds',
      help: 'Time that onboardings were in the state that they have left, by it and the state that they came to.',
      labelNames: ['from', 'to'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3_600, 86_400],
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

  /** An onboarding that is new. */
  started({ onboardingId, requestedAtMs }: Onboarding): void {
    this.transitionSeconds.observe({ from: 'none', to: 'requested' }, 0);
    this.enter(onboardingId, requestedAtMs);
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
    if (before.state === after.state) return;
    const { onboardingId, state, requestedAtMs } = after;
    // Another process may have made the change before; the request's time is the one that is stored.
    const enteredAtMs = this.enteredAtMs.get(onboardingId) ?? requestedAtMs;
    this.transitionSeconds.observe({ from: before.state, to: state }, (nowMs - enteredAtMs) / 1_000);
    if (openStates.includes(state)) {
      this.enter(onboardingId, nowMs);
      return;
    }
    this.enteredAtMs.delete(onboardingId);
    this.ended.inc({ outcome: state });
    if (state === 'active') this.seconds.observe((nowMs - requestedAtMs) / 1_000);
    const { deviceId, homeId, reason = 'ok' } = after;
    const attributes = { 'mqtt2go.device.id': deviceId, 'mqtt2go.home.id': homeId, 'mqtt2go.reason': reason };
    recordOnboarding({ onboardingId, startMs: requestedAtMs, endMs: nowMs, outcome: state, attributes });
  }

  private enter(onboardingId: string, nowMs: number): void {
    this.enteredAtMs.delete(onboardingId);
    this.enteredAtMs.set(onboardingId, nowMs);
    const [oldest] = this.enteredAtMs.keys();
    if (oldest !== undefined && this.enteredAtMs.size > rememberedOnboardings) this.enteredAtMs.delete(oldest);
  }

  /** Measures a step, whether or not it succeeds; a span of the onboarding's trace. */
  async measure<T>(step: StepName, work: () => Promise<T>): Promise<T> {
    const end = this.stepSeconds.startTimer({ step });
    try {
      return await traced(`onboarding.${step}`, work);
    } finally {
      end();
    }
  }
}
