import { toMqtt2goError, topics } from '@mqtt2go/protocol';
import type { SecureSession } from '../connection/secure-session.js';
import type { BrokerAddress, Credentials, DeviceState, Next } from '../store/device-store.js';
import {
  type HomeAnswer,
  readCommand,
  readHomeAnswer,
  writeGetDeviceTopics,
  writePeriodicReport,
  writeRefusal,
  writeResponse,
  writeStatus,
} from '../wire.js';
import { ActivationTakenBack, type HomeDeps, jittered } from './home-deps.js';
import type { Outgoing } from './outgoing.js';
import { Renewal } from './renewal.js';

/** Refusals of GET_DEVICE_TOPICS which mean that there is no onboarding any more. */
const takenBack: ReadonlySet<string> = new Set(['unknown_onboarding', 'activation_expired', 'unknown_device']);

export interface Stay {
  readonly session: SecureSession;
  readonly broker: BrokerAddress;
  readonly credentials: Credentials;
  readonly state: DeviceState;
  /** What is next is on trial: it counts when the device has been served its topics, and nothing is subscribed before. */
  readonly isTrial: boolean;
  readonly outgoing: Outgoing;
  /** What is on trial, if it is not in the store. */
  readonly candidate?: Next | undefined;
  /** The platform has told of something to be tried. */
  readonly onNext: (next: Next) => void;
}

/** One connection to the home's broker, from its beginning to its end. */
export class HomeStay {
  readonly #deps: HomeDeps;
  readonly #stay: Stay;
  readonly #session: SecureSession;
  readonly #askingTopic: string;
  readonly #renewal: Renewal;
  readonly #failed: Promise<never>;
  #fail: (reason: unknown) => void = () => undefined;
  /** Resolves when the platform has given the device its topics. */
  readonly served: Promise<void>;
  #serve: () => void = () => undefined;
  #isServed = false;
  #topics: readonly string[];
  #subscribed = false;
  #asking: NodeJS.Timeout | undefined;
  #reporting: NodeJS.Timeout | undefined;
  #stopListening: () => void = () => undefined;
  /** What arrives is dealt with one after the other, so that commands are obeyed in their order. */
  #inbox: Promise<void> = Promise.resolve();

  constructor(deps: HomeDeps, stay: Stay) {
    this.#deps = deps;
    this.#stay = stay;
    this.#session = stay.session;
    this.#askingTopic = topics.deviceTopics.build({ deviceId: deps.identity.file.device_id });
    this.#renewal = new Renewal(deps, stay.credentials, stay.state, (message) =>
      this.#session.publish(this.#askingTopic, message),
    );
    this.#topics = stay.state.topics;
    this.#failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => undefined);
    this.served = new Promise((resolve) => {
      this.#serve = resolve;
    });
  }

  get isServed(): boolean {
    return this.#isServed;
  }

  /** Settles in; how that goes is told by {@link untilItEnds}. */
  begin(signal: AbortSignal): void {
    const aborted = (): void => this.#fail(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    const stopHearing = this.#session.onMessage((topic, payload) => this.#arrived(topic, payload));
    this.#stopListening = () => {
      signal.removeEventListener('abort', aborted);
      stopHearing();
    };
    void this.#session.closed.then(() => this.#fail(this.#session.lost()));
    if (!this.#stay.isTrial) this.#stay.outgoing.goBy(this.#session);
    this.#guard(this.#settleIn());
  }

  /** @throws ConnectionProblem when the connection is lost, ActivationTakenBack, or the reason of the signal */
  untilItEnds(): Promise<never> {
    return this.#failed;
  }

  async leave(): Promise<void> {
    this.#stopListening();
    clearTimeout(this.#asking);
    clearTimeout(this.#reporting);
    this.#renewal.end();
    await this.#session.close();
    await this.#inbox;
    this.#renewal.end();
  }

  async #settleIn(): Promise<void> {
    await this.#session.subscribe([this.#askingTopic]);
    // After a reconnect the known topics serve at once; asking tells whether they are still right.
    if (!this.#stay.isTrial && this.#topics.length > 0) await this.#subscribe(this.#topics);
    await this.#ask();
  }

  async #ask(): Promise<void> {
    const message = writeGetDeviceTopics(this.#deps.clock.own());
    this.#deps.onStep({ step: 9, direction: 'out', what: 'asks for its topics', topic: this.#askingTopic, message });
    clearTimeout(this.#asking);
    if (!this.#subscribed) {
      this.#asking = setTimeout(() => this.#guard(this.#ask()), jittered(this.#deps.askAgainMs, this.#deps.random));
    }
    await this.#session.publish(this.#askingTopic, message);
  }

  #arrived(topic: string, payload: Uint8Array): void {
    this.#inbox = this.#inbox.then(async () => {
      if (!this.#session.isOpen) return;
      try {
        await (topic === this.#askingTopic ? this.#answered(payload) : this.#commandArrived(topic, payload));
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  async #answered(payload: Uint8Array): Promise<void> {
    const answer = readHomeAnswer(payload);
    if (answer === undefined) return;
    switch (answer.kind) {
      case 'topics':
        await this.#assigned(answer);
        await this.#renewal.served(answer.unixMs);
        break;
      case 'moved':
        await this.#moved(answer);
        break;
      case 'renewed':
        await this.#renewed(answer.deviceCertificate);
        break;
      case 'refused':
        await this.#refused(answer);
    }
  }

  async #refused({ command, error }: HomeAnswer & { kind: 'refused' }): Promise<void> {
    if (command === 'topics' && takenBack.has(error.code) && this.#topics.length === 0) throw new ActivationTakenBack();
    const retryInMs = command === 'topics' ? this.#deps.askAgainMs : this.#deps.renewAgainMs;
    this.#deps.onProblem({ error, retryInMs });
    if (command === 'renewal') await this.#renewal.refused(error);
  }

  async #assigned({ topics: assigned, message }: HomeAnswer & { kind: 'topics' }): Promise<void> {
    const same = assigned.length === this.#topics.length && assigned.every((topic) => this.#topics.includes(topic));
    const isOnTrial = this.#stay.isTrial && !this.#isServed;
    if (!(same && this.#subscribed)) {
      this.#deps.onStep({
        step: 12,
        direction: 'in',
        what: `gets ${assigned.length === 1 ? 'its topic' : `its ${assigned.length} topics`}`,
        topic: this.#askingTopic,
        message,
      });
      const former = this.#topics.filter((topic) => !assigned.includes(topic));
      if (this.#subscribed && former.length > 0) await this.#session.unsubscribe(former);
      if (!isOnTrial) await this.#deps.store.saveTopics(assigned);
      this.#topics = assigned;
      await this.#subscribe(assigned);
    }
    this.#isServed = true;
    this.#serve();
  }

  /** What was on trial counts from here on. */
  async #taken(assigned: readonly string[]): Promise<void> {
    const { store } = this.#deps;
    const { candidate, state } = this.#stay;
    if (candidate !== undefined) await store.saveNext(candidate);
    await store.takeNext(assigned);
    const next = candidate ?? state.next;
    const { host, port } = this.#stay.broker;
    const notice =
      next?.broker === undefined
        ? ({ kind: 'renewed', what: 'the renewed certificate works and is in use' } as const)
        : ({ kind: 'moved', what: `is at home at ${host}:${port}, and has forgotten the broker before` } as const);
    this.#deps.onNotice({ ...notice, direction: 'local' });
    this.#stay.outgoing.goBy(this.#session);
  }

  async #moved({ host, port, message }: HomeAnswer & { kind: 'moved' }): Promise<void> {
    const { store, onNotice } = this.#deps;
    const isHere = host === this.#stay.broker.host && port === this.#stay.broker.port;
    // A broker that has not served the device has nothing to say on where its home is.
    if (isHere || (this.#stay.isTrial && !this.#isServed)) return;
    const { next } = await store.state();
    if (next?.broker?.host === host && next.broker.port === port) return;
    onNotice({
      kind: 'moving',
      direction: 'in',
      what: `its home has moved to ${host}:${port}`,
      topic: this.#askingTopic,
      message,
    });
    this.#stay.onNext({ broker: { host, port } });
  }

  async #renewed(bundle: string): Promise<void> {
    try {
      const certificate = await this.#renewal.answered(bundle);
      if (certificate !== undefined) this.#stay.onNext({ certificate, renewal: true });
    } catch (error) {
      // The certificate in use is as good as before.
      this.#deps.onProblem({ error: toMqtt2goError(error), retryInMs: this.#deps.renewAgainMs });
    }
  }

  async #subscribe(to: readonly string[]): Promise<void> {
    await this.#session.subscribe(to);
    // What is tried counts when nothing can fail any more.
    if (this.#stay.isTrial && !this.#isServed) await this.#taken(to);
    this.#subscribed = true;
    clearTimeout(this.#asking);
    const what = to.length === 1 ? 'subscribed to its topic' : `subscribed to its ${to.length} topics`;
    this.#deps.onStep({ step: 13, direction: 'local', what, topic: to.join(', ') });
    this.#deps.onActive(to);
    this.#reportLater(0);
  }

  async #commandArrived(topic: string, payload: Uint8Array): Promise<void> {
    const command = readCommand(payload);
    if (command === undefined) return;
    const { appliance, store, clock } = this.#deps;
    const { commandType, value } = command;
    try {
      const { answer, changed } = appliance.obey(commandType, value);
      if (changed) await store.saveSettings(appliance.settings);
      this.#answer(topic, writeResponse(clock.own(), commandType, answer), { topic, commandType, value, answer });
      if (changed) this.#reportEverywhere(writeStatus(clock.own(), appliance.report()));
    } catch (error) {
      const { code: reason } = toMqtt2goError(error);
      const refusal = writeRefusal(clock.own(), commandType, reason);
      this.#answer(topic, refusal, { topic, commandType, value, answer: { event: 'error', reason } });
    }
  }

  #answer(topic: string, message: string, command: Parameters<HomeDeps['onCommand']>[0]): void {
    void this.#report(topic, message).then(() => this.#deps.onCommand(command));
  }

  #reportLater(delayMs: number): void {
    clearTimeout(this.#reporting);
    this.#reporting = setTimeout(() => {
      this.#reportLater(jittered(this.#deps.reportEveryMs, this.#deps.random));
      this.#reportEverywhere(writePeriodicReport(this.#deps.clock.own(), this.#deps.appliance.report()));
    }, delayMs);
  }

  /** Whoever follows one of its groups is to see it, so it reports on all of its topics. */
  #reportEverywhere(message: string): void {
    for (const topic of this.#topics) void this.#report(topic, message);
  }

  async #report(topic: string, message: string): Promise<void> {
    await this.#stay.outgoing.send(topic, message);
    this.#deps.onReport(topic, message);
  }

  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error));
  }
}
