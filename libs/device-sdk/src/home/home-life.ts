import { setTimeout as sleep } from 'node:timers/promises';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { ConnectionProblem } from '../connection/connection-problem.js';
import { SecureSession } from '../connection/secure-session.js';
import { isFinal, retrying } from '../retrying.js';
import { ActivationTakenBack, type HomeDeps } from './home-deps.js';
import { HomeStay } from './home-stay.js';

/**
 * Steps 8 to 13 and the life after them, until `signal` is aborted (then it rejects with its reason).
 * @throws ActivationTakenBack; Mqtt2goError `server_untrusted` as long as the device has no topics
 */
export async function liveAtHome(deps: HomeDeps, signal: AbortSignal): Promise<never> {
  const visits = new Visits(deps, signal);
  for (;;) {
    const session = await visits.connect();
    const stay = new HomeStay(deps, session, await deps.store.state());
    try {
      await stay.untilItEnds(signal);
    } catch (error) {
      if (!(error instanceof ConnectionProblem)) throw error;
      deps.onProblem({ error, retryInMs: visits.ended(error) });
    } finally {
      await stay.leave();
    }
    await visits.rest();
  }
}

class Visits {
  /** In a row: of the connection, or of the device's own topic on it. Mosquitto lets in whom it then lets do nothing. */
  #refusals = 0;
  #restMs = 0;

  constructor(
    readonly deps: HomeDeps,
    readonly signal: AbortSignal,
  ) {}

  async connect(): Promise<SecureSession> {
    const active = (await this.deps.store.state()).phase === 'active';
    // A device that has its home must not give up because a network plays tricks on it for an hour.
    const ends = (error: unknown): boolean => isFinal(error) && !(active && error instanceof ConnectionProblem);
    const session = await retrying(
      () => this.#attempt(active),
      this.deps.backOff,
      this.signal,
      this.deps.onProblem,
      ends,
    );
    return session;
  }

  /** Takes note of how a stay ended. @returns how long the device rests before the next one, in milliseconds */
  ended({ kind }: ConnectionProblem): number {
    const { minMs, maxMs } = this.deps.backOff;
    this.#refusals = kind === 'refused' ? this.#refusals + 1 : 0;
    const longest = this.#refusals === 0 ? 0 : Math.min(minMs * 2 ** this.#refusals, maxMs);
    this.#restMs = (longest * (1 + Math.random())) / 2;
    return this.#restMs;
  }

  /** @throws ActivationTakenBack when the device has been refused too often and has no home yet; the reason of the signal */
  async rest(): Promise<void> {
    const active = (await this.deps.store.state()).phase === 'active';
    if (!active && this.#refusals >= this.deps.refusalsBeforeRejoin) throw new ActivationTakenBack();
    if (this.#restMs === 0) return;
    await sleep(this.#restMs, undefined, { signal: this.signal }).catch(() => this.signal.throwIfAborted());
  }

  async #attempt(active: boolean): Promise<SecureSession> {
    const { store, identity, connectTimeoutMs, lookup, onStep, refusalsBeforeRejoin } = this.deps;
    const { broker } = await store.state();
    const credentials = await store.credentials();
    if (broker === undefined || credentials === undefined) {
      throw new Mqtt2goError('configuration_invalid', 'The device knows no broker: its state is incomplete.');
    }
    const address = `${broker.host}:${broker.port}`;
    try {
      const session = await SecureSession.open(
        {
          ...broker,
          ...credentials,
          ca: identity.ca,
          clientId: identity.file.device_id,
          connectTimeoutMs,
          lookup,
          keepaliveSeconds: 30,
        },
        this.signal,
      );
      onStep({
        step: 8,
        direction: 'local',
        what: `connected to the home's broker at ${address} with the new certificate`,
      });
      return session;
    } catch (error) {
      if (error instanceof ConnectionProblem && error.kind === 'refused') this.#refusals++;
      if (!active && this.#refusals >= refusalsBeforeRejoin) throw new ActivationTakenBack();
      throw error;
    }
  }
}
