import { advance, type Onboarding, type OnboardingEvent, type Reply, type StepResult } from '@mqtt2go/onboarding';
import { withOnboarding } from '@mqtt2go/messaging';
import { Outbox } from '@mqtt2go/persistence';
import { Clock } from '@mqtt2go/ports';
import { Mqtt2goError, type NetworkMethod } from '@mqtt2go/protocol';
import { Injectable } from '@nestjs/common';
import { ProvisioningSettings } from '../settings.js';
import { Networks } from '../network/networks.js';
import { HomeReplies } from '../traffic/home-replies.js';
import { changeEntry, replacedEntry, startEntry } from './onboarding-audit.js';
import { OnboardingCache } from './onboarding-cache.js';
import { OnboardingMetrics } from './onboarding-metrics.js';
import { type Change, type KnownDevice, OnboardingRepository } from './onboarding-repository.js';

/** Contention on one row beyond this is a defect, not bad luck. */
const mostAttempts = 16;

export interface HappenOptions {
  /** The onboarding was read a moment ago: nothing is gained by reading it again. */
  readonly fresh?: boolean;
  /** The event belongs to this very version; if the row has moved on, the event is dropped. */
  readonly strict?: boolean;
}

export interface Happening extends StepResult {
  /** False when a strict event came too late; `onboarding` then is what is stored. */
  readonly applied: boolean;
  /** Ends when the replies are with the broker, or lost. Never rejects. */
  readonly sent: Promise<void>;
}

/** Where onboardings change: the machine decides, the table has the last word, replies go out after the commit. */
@Injectable()
export class Onboardings {
  private readonly cache = new OnboardingCache();

  constructor(
    private readonly repository: OnboardingRepository,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
    private readonly replies: HomeReplies,
    private readonly networks: Networks,
    private readonly metrics: OnboardingMetrics,
    private readonly settings: ProvisioningSettings,
  ) {}

  /** Possibly out of date; see {@link OnboardingCache}. */
  async find(onboardingId: string): Promise<Onboarding | undefined> {
    return this.cache.byOnboarding(onboardingId) ?? (await this.repository.find(onboardingId));
  }

  /** The open one of a device if this process knows it. Possibly out of date. */
  known(deviceId: string): Onboarding | undefined {
    return this.cache.byDevice(deviceId);
  }

  /**
   * Adds a first onboarding of a device that the factory has told of. See `OnboardingRepository.insertKnown`.
   * @throws QueryFailedError for the unique indexes
   */
  async startKnown(
    draft: Onboarding,
    deviceType: string | undefined,
    codeHash: Buffer,
  ): Promise<{ onboarding: Onboarding; device: KnownDevice } | undefined> {
    const device = await this.activating(draft, () =>
      this.repository.insertKnown(draft, deviceType, codeHash, startEntry(draft)),
    );
    if (!device) return undefined;
    const onboarding = { ...draft, deviceType: device.deviceType, keyMode: device.keyMode };
    await this.wasStored(onboarding);
    this.metrics.started(onboarding);
    return { onboarding, device };
  }

  /**
   * Adds an onboarding, ending the one before it in the same transaction. False if that one has moved on meanwhile.
   * @throws QueryFailedError for the unique indexes
   */
  async start(onboarding: Onboarding, before?: { from: Onboarding; result: StepResult }): Promise<boolean> {
    const nowMs = this.clock.now();
    const change = before && changeOf(before.from, before.result, replacedEntry(before.result.onboarding, onboarding));
    const insert = () => this.repository.insert(onboarding, startEntry(onboarding), change, nowMs);
    if (!(await this.activating(onboarding, insert))) return false;
    await this.wasStored(onboarding);
    this.metrics.started(onboarding);
    if (before && change) {
      this.follow(change, nowMs);
      void this.send(before.result.replies);
    }
    return true;
  }

  /**
   * Lets an event happen to an onboarding, again and again until the table and the machine agree.
   * What the asker is refused is in the result.
   */
  async happen(
    onboarding: Onboarding,
    event: OnboardingEvent,
    { fresh = false, strict = false }: HappenOptions = {},
  ): Promise<Happening> {
    let current = onboarding;
    let certain = fresh;
    for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
      const nowMs = this.clock.now();
      const result = advance(current, event, nowMs);
      if (result.onboarding !== current) {
        const change = changeOf(current, result, changeEntry(current, result.onboarding, event.kind));
        if (await this.repository.save(change, nowMs)) {
          await this.wasStored(result.onboarding);
          this.follow(change, nowMs);
          return { ...result, applied: true, sent: this.send(result.replies) };
        }
      } else if (certain) {
        return { ...result, applied: true, sent: this.send(result.replies) };
      }
      const stored = await this.repository.find(onboarding.onboardingId);
      if (!stored) throw new Mqtt2goError('unknown_onboarding');
      this.cache.put(stored);
      if (strict && stored.version !== onboarding.version) {
        return { onboarding: stored, effects: [], replies: [], applied: false, sent: Promise.resolve() };
      }
      current = stored;
      certain = true;
    }
    throw new Mqtt2goError('unavailable', `the onboarding ${onboarding.onboardingId} changes too fast`);
  }

  /** Replies go out in their order; one that cannot be sent is asked for again by whoever waits for it. */
  send(replies: readonly Reply[]): Promise<void> {
    return this.replies.send(replies.map((reply) => this.networks.complete(reply)));
  }

  /** How the device with this code is let into the Wi-Fi, if it is. */
  networkFor(activationCode: string): NetworkMethod | undefined {
    return this.networks.methodFor(activationCode);
  }

  private activating<T>({ onboardingId }: Onboarding, store: () => Promise<T>): Promise<T> {
    return withOnboarding(onboardingId, () => this.metrics.measure('activate', store));
  }

  private follow({ from, to, effects }: Change, nowMs: number): void {
    this.metrics.stored(from, to, nowMs);
    if (effects.length > 0) this.outbox.poke();
  }

  /** The first thing after each commit. */
  private async wasStored(onboarding: Onboarding): Promise<void> {
    this.cache.put(onboarding);
    await this.settings.onPersisted(onboarding.state, onboarding.onboardingId);
    this.networks.follow(onboarding);
    const { onboardingId, deviceId, homeId, state } = onboarding;
    this.settings.log.info({ onboardingId, deviceId, homeId, state }, `the onboarding is ${state}`);
  }
}

function changeOf(from: Onboarding, { onboarding: to, effects }: StepResult, entry: Change['entry']): Change {
  return { from, to, effects, entry };
}
