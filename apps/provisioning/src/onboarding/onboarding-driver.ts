import { isOverdue, type Onboarding, ruleOf, undoOf, type Work, workOf } from '@mqtt2go/onboarding';
import { withOnboarding } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import { Clock } from '@mqtt2go/ports';
import { type Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import { Announcing } from '../announcing/announcing.js';
import { Certifying } from '../certifying/certifying.js';
import { ProvisioningSettings } from '../settings.js';
import { OnboardingMetrics } from './onboarding-metrics.js';
import { OnboardingRepository } from './onboarding-repository.js';
import { Onboardings } from './onboardings.js';

/** Onboardings that are driven at a time; more wait their turn. */
const concurrency = 64;
const renewMs = 500;
const firstRetryMs = 500;
const longestRetryMs = 15_000;
const stopTimeoutMs = 3_000;

/** What is known besides the row, so that it need not be asked for. */
export interface DriveHints {
  /** PEM SubjectPublicKeyInfo from the factory record. */
  readonly publicKey?: string | undefined;
  /** How often the owed step has failed before. */
  readonly attempts?: number;
}

interface Drive {
  /** Set when the onboarding was changed while it was driven: somebody wants it looked at once more. */
  again: boolean;
  readonly ended: Promise<void>;
}

/**
 * Does what the platform owes an onboarding, step by step, until it is somebody else's turn. A step that fails
 * because something does not answer is left to the recovery, until the deadline; one that is refused ends it.
 */
@Injectable()
export class OnboardingDriver {
  private readonly drives = new Map<string, Drive>();
  private readonly limit = pLimit(concurrency);
  private renewal: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly onboardings: Onboardings,
    private readonly repository: OnboardingRepository,
    private readonly certifying: Certifying,
    private readonly announcing: Announcing,
    private readonly metrics: OnboardingMetrics,
    private readonly clock: Clock,
    private readonly outbox: Outbox,
    private readonly settings: ProvisioningSettings,
  ) {}

  start(): void {
    this.renewal = setInterval(() => void this.renew(), renewMs);
  }

  /** Begins nothing more, and waits for the steps that run; not for long, as they can be done again. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.renewal);
    let timer: NodeJS.Timeout | undefined;
    const longEnough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, stopTimeoutMs);
    });
    await Promise.race([Promise.all([...this.drives.values()].map(({ ended }) => ended)), longEnough]);
    clearTimeout(timer);
  }

  /** Drives an onboarding if it owes anything; returns at once. */
  drive(onboarding: Onboarding, hints: DriveHints = {}): void {
    if (this.stopped || !workOf(onboarding)) return;
    const { onboardingId } = onboarding;
    const running = this.drives.get(onboardingId);
    if (running) {
      running.again = true;
      return;
    }
    const ended = this.limit(() => withOnboarding(onboardingId, () => this.run(onboarding, hints)))
      .catch((error: unknown) => {
        this.settings.log.error({ err: error, onboardingId }, 'an onboarding could not be driven; trying again');
      })
      .then(() => this.ended(onboardingId));
    this.drives.set(onboardingId, { again: false, ended });
  }

  private async ended(onboardingId: string): Promise<void> {
    const again = this.drives.get(onboardingId)?.again ?? false;
    this.drives.delete(onboardingId);
    if (!again || this.stopped) return;
    const onboarding = await this.repository.find(onboardingId).catch(() => undefined);
    if (onboarding) this.drive(onboarding);
  }

  private async run(start: Onboarding, { publicKey, attempts = 0 }: DriveHints): Promise<void> {
    let current = start;
    let certificate: string | undefined;
    let failures = attempts;
    for (let work = workOf(current); work && !this.stopped; work = workOf(current)) {
      if (isOverdue(current, this.clock.now())) {
        await this.onboardings.happen(current, { kind: 'expire' });
        return;
      }
      try {
        certificate = await this.perform(work, current, certificate, publicKey);
      } catch (error) {
        await this.failed(current, toMqtt2goError(error), failures);
        return;
      }
      const event = { kind: work === 'certify' ? 'certified' : 'announced' } as const;
      const { onboarding, applied } = await this.onboardings.happen(current, event, { strict: true });
      if (!applied) await this.undoLate(onboarding);
      current = onboarding;
      failures = 0;
    }
  }

  /** Returns the certificate bundle when it is at hand. */
  private async perform(
    work: Work,
    onboarding: Onboarding,
    certificate: string | undefined,
    publicKey: string | undefined,
  ): Promise<string | undefined> {
    return this.metrics.measure(work, async () => {
      if (work === 'certify') return this.certifying.certify(onboarding, { publicKey });
      await this.announcing.announce(onboarding, certificate);
      return certificate;
    });
  }

  private async failed(onboarding: Onboarding, error: Mqtt2goError, failures: number): Promise<void> {
    const { log } = this.settings;
    const { onboardingId, state } = onboarding;
    if (isTransient(error)) {
      const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(failures, 16));
      log.warn({ err: error, onboardingId, state, delayMs }, 'a step of an onboarding failed; trying again');
      await this.repository.postpone(onboarding, delayMs);
      return;
    }
    log.warn({ err: error, onboardingId, state, code: error.code }, 'a step of an onboarding was refused');
    const { onboarding: stored, applied } = await this.onboardings.happen(
      onboarding,
      { kind: 'refuse', error },
      { strict: true },
    );
    if (applied) return;
    // The request came again meanwhile, or all is over: the refusal was the answer to an older question.
    await this.undoLate(stored);
    const drive = this.drives.get(onboardingId);
    if (drive) drive.again = true;
  }

  /** A step that ended after its onboarding had may have handed out something that the undo did not find. */
  private async undoLate(onboarding: Onboarding): Promise<void> {
    if (ruleOf(onboarding.state).open || onboarding.state === 'active') return;
    await this.repository.addEffects(onboarding, undoOf({ ...onboarding, state: 'certified' }));
    this.outbox.poke();
  }

  private async renew(): Promise<void> {
    if (this.drives.size === 0) return;
    await this.repository.renewLeases([...this.drives.keys()]).catch((error: unknown) => {
      this.settings.log.warn({ err: error }, 'the leases of running steps could not be renewed');
    });
  }
}

/** True for what another attempt may find mended: nobody answers, or somebody has a defect. */
export function isTransient({ code }: Mqtt2goError): boolean {
  return code === 'unavailable' || code === 'timeout' || code === 'internal';
}
