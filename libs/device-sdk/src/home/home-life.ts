import { Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import { ConnectionProblem } from '../connection/connection-problem.js';
import { SecureSession } from '../connection/secure-session.js';
import { isFinal, pause, retrying, waitMs } from '../retrying.js';
import {
  type BrokerAddress,
  type Credentials,
  type DeviceState,
  type Next,
  takenState,
} from '../store/device-store.js';
import { ActivationTakenBack, type HomeDeps } from './home-deps.js';
import { HomeStay } from './home-stay.js';
import { askDiscovery, isNoNews, type Known, lookNearby } from './looking-again.js';
import { Outgoing } from './outgoing.js';

/** How much sooner a device looks elsewhere when its broker is there and does not want it, or is not to be trusted. */
const weightOfRefusal = 3;

/**
 * Steps 8 to 13 and the life after them, until `signal` is aborted (then it rejects with its reason).
 * @throws ActivationTakenBack; Mqtt2goError `server_untrusted` as long as the device has no topics
 */
export async function liveAtHome(deps: HomeDeps, signal: AbortSignal): Promise<never> {
  const life = new HomeLife(deps, signal);
  let stay = await life.arrive();
  for (;;) stay = await life.liveIn(stay);
}

class HomeLife {
  readonly #deps: HomeDeps;
  readonly #signal: AbortSignal;
  readonly #outgoing = new Outgoing();
  /** In a row: of the connection, or of the device's own topic on it. Mosquitto lets in whom it then lets do nothing. */
  #refusals = 0;
  /** Attempts in a row that did not bring it home, heavier ones counted more than once; till it looks elsewhere. */
  #misses = 0;
  #restMs = 0;
  #attempts = 0;
  /** Tries of what is next, over all stays. */
  #tries = 0;
  /** What the platform has told of last. It waits for what is being tried: that counts only as it was tried. */
  #told: Next | undefined;
  #toTry = Promise.withResolvers<void>();

  constructor(deps: HomeDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Gets to a broker of the home: the known one, the one it is said to have moved to, or one that it finds. */
  async arrive(): Promise<HomeStay> {
    const isActive = (await this.#deps.store.state()).phase === 'active';
    this.#attempts = 0;
    return retrying(() => this.#attempt(isActive), {
      ...this.#deps,
      signal: this.#signal,
      // A device that has its home must not give up because a network plays tricks on it for an hour.
      ends: (error) => isFinal(error) && !(isActive && error instanceof Mqtt2goError && !isBrokenStore(error)),
    });
  }

  /** Until the connection ends or another one has taken over; resolves with the stay after it. */
  async liveIn(stay: HomeStay): Promise<HomeStay> {
    const ending = new AbortController();
    void stay.served.then(() => this.#isHome());
    const succession = this.#succeed(ending.signal);
    succession.catch(() => undefined);
    try {
      return await Promise.race([stay.untilItEnds(), succession]);
    } catch (error) {
      ending.abort();
      // A new certificate's connection ends that of the old one: what is under way decides.
      const successor = await succession.catch(() => undefined);
      if (successor !== undefined && error instanceof ConnectionProblem) return successor;
      await successor?.leave();
      if (!(error instanceof ConnectionProblem)) throw error;
      this.#deps.onProblem({ error, retryInMs: this.#ended(error, stay.isServed) });
    } finally {
      ending.abort();
      await stay.leave();
    }
    await this.#rest();
    return this.arrive();
  }

  /** Waits for something to be tried beside the stay, and tries it. Rejects when `ending` says that the stay is over. */
  async #succeed(ending: AbortSignal): Promise<HomeStay> {
    const over = new Promise<never>((_resolve, reject) => {
      ending.addEventListener('abort', () => reject(ending.reason), { once: true });
    });
    over.catch(() => undefined);
    const { store, backOff, random, triesOfNext, onProblem, onNotice } = this.#deps;
    const waiting = AbortSignal.any([ending, this.#signal]);
    for (;;) {
      this.#toTry = Promise.withResolvers<void>();
      if (this.#told === undefined && (await store.state()).next === undefined) {
        await Promise.race([this.#toTry.promise, over]);
      }
      const isActive = (await store.state()).phase === 'active';
      if (this.#told !== undefined && isActive) {
        await store.saveNext(this.#told);
        this.#told = undefined;
        this.#tries = 0;
      }
      try {
        return await (this.#told?.broker === undefined ? this.#tryNext() : this.#follow(this.#told.broker));
      } catch (error) {
        ending.throwIfAborted();
        const isLast = this.#tries >= triesOfNext || isFinal(error);
        const retryInMs = isLast ? 0 : waitMs(this.#tries, backOff, random);
        onProblem({ error: toMqtt2goError(error), retryInMs });
        if (isLast) {
          await store.dropNext();
          if (!isActive) this.#told = undefined;
          this.#tries = 0;
          onNotice({ kind: 'stays', direction: 'local', what: 'stays with what it has' });
        } else {
          await pause(retryInMs, waiting);
        }
      }
    }
  }

  async #attempt(isActive: boolean): Promise<HomeStay> {
    const { refusalsBeforeRejoin, missesBeforeLooking } = this.#deps;
    // Refused before it has topics, it is about to start anew.
    if (this.#misses >= missesBeforeLooking && (isActive || this.#refusals === 0)) {
      this.#misses = 0;
      const found = await (isActive ? this.#lookElsewhere() : this.#askWithoutTopics());
      if (found !== undefined) return found;
    }
    const state = await this.#deps.store.state();
    const isNextsTurn = state.next !== undefined && this.#attempts++ % 2 === 0;
    try {
      return isNextsTurn ? await this.#tryNext() : await this.#goHome(state);
    } catch (error) {
      this.#signal.throwIfAborted();
      if (error instanceof ConnectionProblem) {
        if (error.kind === 'refused' && !isNextsTurn) this.#refusals++;
        this.#missed(error);
      }
      if (!isActive && this.#refusals >= refusalsBeforeRejoin) throw new ActivationTakenBack();
      throw error;
    }
  }

  /** To the broker that the device knows. */
  async #goHome(state: DeviceState): Promise<HomeStay> {
    const { broker, credentials } = await this.#known(state);
    const stay = await this.#open(state, broker, credentials, { isTrial: false });
    this.#deps.onStep({
      step: 8,
      direction: 'local',
      what: `connected to the home's broker at ${broker.host}:${broker.port} with the new certificate`,
    });
    return stay;
  }

  /**
   * To what is to be tried; resolves when the device has been served there, so that it is what counts.
   * @param candidate a broker that is not worth a place in the store before
   */
  async #tryNext(candidate?: Next): Promise<HomeStay> {
    const { store, answerTimeoutMs, onNotice } = this.#deps;
    this.#tries++;
    const state = await store.state();
    const { broker: known } = await this.#known(state);
    const broker = (candidate ?? state.next)?.broker ?? known;
    const credentials = await store.credentials(candidate === undefined ? 'next' : 'current');
    if (credentials === undefined) throw new Mqtt2goError('configuration_invalid', 'There is nothing to be tried.');
    const stay = await this.#open(state, broker, credentials, { isTrial: true, candidate });
    const where = `${broker.host}:${broker.port}`;
    const kind = (candidate ?? state.next)?.broker === undefined ? 'renewing' : 'moving';
    onNotice({ kind, direction: 'local', what: `connected to ${where}; asks for its topics there` });
    let late: NodeJS.Timeout | undefined;
    try {
      await Promise.race([
        stay.served,
        stay.untilItEnds(),
        new Promise<never>((_resolve, reject) => {
          const error = new ConnectionProblem('lost', `The broker at ${where} does not serve the device.`);
          late = setTimeout(() => reject(error), answerTimeoutMs);
        }),
      ]);
      return stay;
    } catch (error) {
      await stay.leave();
      // Served in the very last moment, it counts all the same: that its connection is gone it tells itself.
      if (stay.isServed) return stay;
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  /**
   * To the broker that the home has moved to, for a device that has no topics yet: it has nothing to lose at the one before,
   * and nobody serves it before it has a name.
   */
  async #follow(broker: BrokerAddress): Promise<HomeStay> {
    const { store, onNotice } = this.#deps;
    this.#tries++;
    const state = await store.state();
    const { credentials } = await this.#known(state);
    const stay = await this.#open(state, broker, credentials, { isTrial: false });
    await store.saveBroker(broker);
    this.#told = undefined;
    this.#tries = 0;
    const where = `${broker.host}:${broker.port}`;
    onNotice({
      kind: 'moved',
      direction: 'local',
      what: `waits for its name at ${where}, and has forgotten the broker before`,
    });
    return stay;
  }

  /**
   * The Discovery server knows where a device that has no topics yet is expected; whoever answers in the local network need not
   * be it, and would not be found out by topics.
   */
  async #askWithoutTopics(): Promise<HomeStay | undefined> {
    const { store, onProblem, onNotice } = this.#deps;
    onNotice({ kind: 'looks-again', direction: 'local', what: 'asks the Discovery server for its home' });
    try {
      const known = await this.#known(await store.state());
      const found = await askDiscovery(this.#deps, known, this.#signal);
      if (found === undefined) return undefined;
      const broker = found.broker ?? known.broker;
      if (found.certificate === undefined) return await this.#follow(broker);
      await store.saveJoined({ broker, ...found.certificate });
      return undefined;
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!isNoNews(error)) onProblem({ error: toMqtt2goError(error), retryInMs: 0 });
      return undefined;
    }
  }

  /** In the local network first, then at the Discovery server. What is found counts only if it serves the device. */
  async #lookElsewhere(): Promise<HomeStay | undefined> {
    const { store, onNotice } = this.#deps;
    onNotice({ kind: 'looks-again', direction: 'local', what: 'looks for its home elsewhere' });
    const known = await this.#known(await store.state());
    const nearby = await this.#found(() => lookNearby(this.#deps, known, this.#signal));
    if (nearby !== undefined) return nearby;
    return this.#found(() => askDiscovery(this.#deps, known, this.#signal));
  }

  async #found(look: () => Promise<Next | undefined>): Promise<HomeStay | undefined> {
    const { store, onProblem, onNotice } = this.#deps;
    try {
      const found = await look();
      if (found === undefined) return undefined;
      // A certificate of a new onboarding is not given twice, and is good though the device may have no name yet.
      if (found.certificate !== undefined) {
        await store.saveNext(found);
        return await this.#tryNext();
      }
      try {
        return await this.#tryNext(found);
      } catch (error) {
        onNotice({ kind: 'stays', direction: 'local', what: 'that is not its home' });
        throw error;
      }
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!isNoNews(error)) onProblem({ error: toMqtt2goError(error), retryInMs: 0 });
      return undefined;
    }
  }

  async #open(
    state: DeviceState,
    broker: BrokerAddress,
    credentials: Credentials,
    { isTrial, candidate }: { readonly isTrial: boolean; readonly candidate?: Next | undefined },
  ): Promise<HomeStay> {
    const { identity, connectTimeoutMs, clock, lookup } = this.#deps;
    const session = await SecureSession.open(
      {
        ...broker,
        ...credentials,
        ca: identity.ca,
        clientId: identity.file.device_id,
        connectTimeoutMs,
        clock,
        lookup,
        keepaliveSeconds: 30,
      },
      this.#signal,
    );
    const stay = new HomeStay(this.#deps, {
      session,
      broker,
      credentials,
      state: isTrial && candidate === undefined ? { ...state, toConfirm: takenState(state, []).toConfirm } : state,
      isTrial,
      candidate,
      outgoing: this.#outgoing,
      onNext: (next) => {
        this.#told = next;
        this.#toTry.resolve();
      },
    });
    stay.begin(this.#signal);
    return stay;
  }

  async #known({ broker }: DeviceState): Promise<Known> {
    const credentials = await this.#deps.store.credentials();
    if (broker === undefined || credentials === undefined) {
      throw new Mqtt2goError('configuration_invalid', 'The device knows no broker: its state is incomplete.');
    }
    return { broker, credentials };
  }

  #isHome(): void {
    this.#refusals = 0;
    this.#misses = 0;
  }

  #missed({ kind }: ConnectionProblem): void {
    this.#misses += kind === 'refused' || kind === 'untrusted' ? weightOfRefusal : 1;
  }

  /** Takes note of how a stay ended. @returns how long the device rests before the next one, in milliseconds */
  #ended(problem: ConnectionProblem, wasServed: boolean): number {
    const { backOff, random } = this.#deps;
    this.#refusals = problem.kind === 'refused' ? this.#refusals + 1 : 0;
    if (!wasServed) this.#missed(problem);
    // Everybody loses a broker that goes down in the same moment: even the first attempt is not made at once.
    this.#restMs = this.#refusals === 0 ? 2 * backOff.minMs * random() : waitMs(this.#refusals, backOff, random);
    return this.#restMs;
  }

  /** @throws ActivationTakenBack when the device has been refused too often and has no home yet; the reason of the signal */
  async #rest(): Promise<void> {
    const isActive = (await this.#deps.store.state()).phase === 'active';
    if (!isActive && this.#refusals >= this.#deps.refusalsBeforeRejoin) throw new ActivationTakenBack();
    await pause(this.#restMs, this.#signal);
  }
}

function isBrokenStore({ code }: Mqtt2goError): boolean {
  return code === 'configuration_invalid';
}
