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
      deps.onProblem({ error, retryInMs: 0 });
    } finally {
      await stay.leave();
    }
  }
}

class Visits {
  #refusals = 0;

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
    this.#refusals = 0;
    return session;
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
