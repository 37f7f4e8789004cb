import { mayComeByNetwork, type Onboarding, progress, type Reply, ruleOf } from '@mqtt2go/onboarding';
import { type Clock, isPassphrase, type NetworkJoin, SecretText } from '@mqtt2go/ports';
import { type Mqtt2goError, type NetworkInstructions, type NetworkMethod, toMqtt2goError } from '@mqtt2go/protocol';
import type { Logger } from 'pino';
import pRetry from 'p-retry';

/** What the profile gives: a way into the Wi-Fi, and which of its methods is wanted. */
export interface NetworkAccess {
  readonly join: NetworkJoin;
  /** The guest network if there is one, else what the way in does first, by default. */
  readonly method?: NetworkMethod | undefined;
}

interface Parts {
  readonly access: NetworkAccess | undefined;
  readonly find: (onboardingId: string) => Promise<Onboarding | undefined>;
  readonly send: (replies: readonly Reply[]) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Door {
  readonly deviceId: string;
  /** The request that it was opened for; the same made again opens it anew. Moves along when the clock is corrected. */
  requestedAtMs: number;
  readonly ending: AbortController;
  opening: Promise<void>;
  told: NetworkInstructions | undefined;
}

/** The push button's window by the WPS specification. */
const wpsWindowMs = 120_000;
const retry = { retries: Number.POSITIVE_INFINITY, minTimeout: 500, maxTimeout: 15_000, factor: 2 } as const;
/** Another's network is about to be closed, or the access point is away: both may be over a while later. */
const passing = new Set(['another_device_is_being_added', 'unavailable', 'timeout', 'internal']);

/**
 * Opens the network for a device that is being added, and closes it again. The onboarding waits for none of it: a device
 * may be in the network already, by cable for one, so that an access point that fails is told to the person, tried again
 * until the activation ends, and keeps nobody out. What a killed process left open, the way into the network closes at its
 * start; here it is opened again for those who still may come.
 */
export class Networks {
  private readonly doors = new Map<string, Door>();
  private stopped = false;
  private stopMoving: () => void = () => undefined;

  constructor(private readonly parts: Parts) {}

  start(): void {
    this.stopMoving = this.parts.clock.onCorrection(async (byMs) => this.moveAlong(byMs));
  }

  /** By which method a device with this code is let in; undefined where there is no network to let it in to. */
  methodFor(activationCode: string): NetworkMethod | undefined {
    const { access } = this.parts;
    if (access === undefined) return undefined;
    // The code is the guest network's password, and so has to be one.
    const can = access.join.methods.filter((method) => method !== 'guest' || isPassphrase(activationCode));
    if (access.method !== undefined && can.includes(access.method)) return access.method;
    return can.includes('guest') ? 'guest' : can[0];
  }

  /** Has the network opened for an onboarding that may hold one; returns at once. To be called after each commit. */
  follow(onboarding: Onboarding): void {
    if (this.stopped || this.parts.access === undefined || !mayComeByNetwork(onboarding)) return;
    const { onboardingId, deviceId, requestedAtMs } = onboarding;
    const before = this.doors.get(onboardingId);
    if (before?.requestedAtMs === requestedAtMs) return;
    const closed = before && this.shut(onboardingId, before);
    const ending = new AbortController();
    const door: Door = { deviceId, requestedAtMs, ending, opening: Promise.resolve(), told: undefined };
    door.opening = (closed ?? Promise.resolve()).then(() => this.open(onboarding, door));
    this.doors.set(onboardingId, door);
  }

  /** Closes it, if it is open. Never rejects: what does not let itself be closed now is closed by the way in itself. */
  async close(onboardingId: string): Promise<void> {
    const door = this.doors.get(onboardingId);
    this.doors.delete(onboardingId);
    await this.shut(onboardingId, door);
  }

  /** Adds to a report of progress what the person has to do. */
  complete(reply: Reply): Reply {
    const { message } = reply;
    if (message.kind !== 'onboarding-progress' || ruleOf(message.state).window !== 'activation') return reply;
    const network = [...this.doors.values()].find(({ deviceId }) => deviceId === message.deviceId)?.told;
    return network === undefined ? reply : { ...reply, message: { ...message, network } };
  }

  /** Leaves nothing open. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.stopMoving();
    await Promise.all([...this.doors.keys()].map((onboardingId) => this.close(onboardingId)));
  }

  /** As the deadlines in the database, or each would look as if it had been asked for anew. */
  private moveAlong(byMs: number): void {
    for (const door of this.doors.values()) {
      door.requestedAtMs += byMs;
      if (door.told) door.told = { ...door.told, closesAtMs: door.told.closesAtMs + byMs };
    }
  }

  private async shut(onboardingId: string, door: Door | undefined): Promise<void> {
    door?.ending.abort();
    await door?.opening;
    await this.parts.access?.join.close(onboardingId).catch((error: unknown) => {
      this.parts.log.warn({ err: error, onboardingId }, 'the network is not closed yet; trying again');
    });
  }

  /** Never rejects. */
  private async open(onboarding: Onboarding, door: Door): Promise<void> {
    const { onboardingId } = onboarding;
    const { signal } = door.ending;
    try {
      await pRetry(() => this.attempt(onboarding, door), {
        ...retry,
        randomize: true,
        signal,
        shouldRetry: ({ error }) => passing.has(toMqtt2goError(error).code),
        onFailedAttempt: ({ error, attemptNumber }) => {
          if (attemptNumber === 1 && !signal.aborted) this.failed(onboarding, door, toMqtt2goError(error));
        },
      });
    } catch (error) {
      if (!signal.aborted) this.parts.log.info({ err: error, onboardingId }, 'no network is opened for the device');
    }
  }

  private async attempt(onboarding: Onboarding, door: Door): Promise<void> {
    const { access, clock, find } = this.parts;
    const { onboardingId, network: method, activationCode } = onboarding;
    const { requestedAtMs } = door;
    const now = await find(onboardingId);
    // What ends it comes after the commit, and finds the door if it was not seen here.
    const isOver = now === undefined || now.requestedAtMs !== requestedAtMs || !mayComeByNetwork(now);
    if (access === undefined || method === undefined || isOver || door.ending.signal.aborted) return;
    const deadline = Math.min(
      now.deadlineMs,
      requestedAtMs + (method === 'wps' ? wpsWindowMs : Number.POSITIVE_INFINITY),
    );
    if (deadline <= clock.now()) return;
    const { instructions, closesAt, network } = await access.join.open({
      activationId: onboardingId,
      method,
      deadline,
      ...(method === 'guest' && activationCode !== undefined ? { passphrase: new SecretText(activationCode) } : {}),
    });
    door.told = { method, instructions, closesAtMs: closesAt, ...(network && { ssid: network.ssid }) };
    await this.tell(onboarding);
  }

  private failed(onboarding: Onboarding, door: Door, error: Mqtt2goError): void {
    const { onboardingId, deadlineMs, network: method = 'manual' } = onboarding;
    this.parts.log.warn({ err: error, onboardingId, method }, 'the network could not be opened for the device');
    const instructions = passing.has(error.code)
      ? 'The gateway could not open the Wi-Fi yet and tries again. A device that is in the network already can go on.'
      : 'The gateway cannot open the Wi-Fi for this device. Bring the device into the network yourself.';
    door.told = { method, instructions, closesAtMs: deadlineMs };
    this.tell(onboarding).catch(() => undefined);
  }

  private async tell(onboarding: Onboarding): Promise<void> {
    const now = await this.parts.find(onboarding.onboardingId);
    if (now !== undefined) await this.parts.send([this.complete(progress(now))]);
  }
}
