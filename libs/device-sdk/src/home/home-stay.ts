import { Mqtt2goError, toMqtt2goError, topics } from '@mqtt2go/protocol';
import type { SecureSession } from '../connection/secure-session.js';
import type { DeviceState } from '../store/device-store.js';
import {
  type DeviceTopicsAnswer,
  readCommand,
  readDeviceTopics,
  writeGetDeviceTopics,
  writePeriodicReport,
  writeRefusal,
  writeResponse,
  writeStatus,
} from '../wire.js';
import { ActivationTakenBack, type HomeDeps } from './home-deps.js';

/** Refusals of GET_DEVICE_TOPICS which mean that there is no onboarding any more. */
const takenBack: ReadonlySet<string> = new Set(['unknown_onboarding', 'activation_expired', 'unknown_device']);

/** One connection to the home's broker, from its beginning to its end. */
export class HomeStay {
  readonly #deps: HomeDeps;
  readonly #session: SecureSession;
  readonly #askingTopic: string;
  readonly #failed: Promise<never>;
  #fail: (reason: unknown) => void = () => undefined;
  #topics: readonly string[];
  #subscribed = false;
  #asking: NodeJS.Timeout | undefined;
  #reporting: NodeJS.Timeout | undefined;
  /** What arrives is dealt with one after the other, so that commands are obeyed in their order. */
  #inbox: Promise<void> = Promise.resolve();

  constructor(deps: HomeDeps, session: SecureSession, state: DeviceState) {
    this.#deps = deps;
    this.#session = session;
    this.#askingTopic = topics.deviceTopics.build({ deviceId: deps.identity.file.device_id });
    this.#topics = state.topics;
    this.#failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => undefined);
  }

  /** @throws ConnectionProblem when the connection is lost, ActivationTakenBack, or the reason of `signal` */
  async untilItEnds(signal: AbortSignal): Promise<never> {
    const aborted = (): void => this.#fail(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    const stopListening = this.#session.onMessage((topic, payload) => this.#arrived(topic, payload));
    void this.#session.closed.then(() => this.#fail(this.#session.lost()));
    try {
      await Promise.race([this.#settleIn(), this.#failed]);
      return await this.#failed;
    } finally {
      signal.removeEventListener('abort', aborted);
      stopListening();
    }
  }

  async leave(): Promise<void> {
    clearTimeout(this.#asking);
    clearTimeout(this.#reporting);
    await this.#session.close();
    await this.#inbox;
  }

  async #settleIn(): Promise<void> {
    await this.#session.subscribe([this.#askingTopic]);
    // After a reconnect the known topics serve at once; asking tells whether they are still right.
    if (this.#topics.length > 0) await this.#subscribe(this.#topics);
    await this.#ask();
  }

  async #ask(): Promise<void> {
    const message = writeGetDeviceTopics(this.#deps.now());
    this.#deps.onStep({ step: 9, direction: 'out', what: 'asks for its topics', topic: this.#askingTopic, message });
    clearTimeout(this.#asking);
    if (!this.#subscribed) {
      this.#asking = setTimeout(() => this.#guard(this.#ask()), jittered(this.#deps.askAgainMs));
    }
    await this.#session.publish(this.#askingTopic, message);
  }

  #arrived(topic: string, payload: Uint8Array): void {
    this.#inbox = this.#inbox.then(async () => {
      if (!this.#session.isOpen) return;
      try {
        await (topic === this.#askingTopic ? this.#topicsArrived(payload) : this.#commandArrived(topic, payload));
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  async #topicsArrived(payload: Uint8Array): Promise<void> {
    const answer = readDeviceTopics(payload);
    if (answer === undefined) return;
    if (!(answer instanceof Mqtt2goError)) return this.#assigned(answer);
    if (takenBack.has(answer.code) && this.#topics.length === 0) throw new ActivationTakenBack();
    this.#deps.onProblem({ error: answer, retryInMs: this.#deps.askAgainMs });
  }

  async #assigned({ topics: assigned, message }: DeviceTopicsAnswer): Promise<void> {
    const same = assigned.length === this.#topics.length && assigned.every((topic) => this.#topics.includes(topic));
    if (same && this.#subscribed) return;
    this.#deps.onStep({
      step: 12,
      direction: 'in',
      what: `gets ${assigned.length === 1 ? 'its topic' : `its ${assigned.length} topics`}`,
      topic: this.#askingTopic,
      message,
    });
    const former = this.#topics.filter((topic) => !assigned.includes(topic));
    if (this.#subscribed && former.length > 0) await this.#session.unsubscribe(former);
    await this.#deps.store.saveTopics(assigned);
    this.#topics = assigned;
    await this.#subscribe(assigned);
  }

  async #subscribe(to: readonly string[]): Promise<void> {
    await this.#session.subscribe(to);
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
    const { appliance, store, now, onCommand } = this.#deps;
    const { commandType, value } = command;
    try {
      const { answer, changed } = appliance.obey(commandType, value);
      if (changed) await store.saveSettings(appliance.settings);
      await this.#report(topic, writeResponse(now(), commandType, answer));
      onCommand({ topic, commandType, value, answer });
      if (changed) await this.#reportEverywhere(writeStatus(now(), appliance.report()));
    } catch (error) {
      if (!this.#session.isOpen) throw error;
      const { code } = toMqtt2goError(error);
      await this.#report(topic, writeRefusal(now(), commandType, code));
      onCommand({ topic, commandType, value, answer: { event: 'error', reason: code } });
    }
  }

  #reportLater(delayMs: number): void {
    clearTimeout(this.#reporting);
    this.#reporting = setTimeout(() => {
      this.#reportLater(jittered(this.#deps.reportEveryMs));
      this.#guard(this.#reportEverywhere(writePeriodicReport(this.#deps.now(), this.#deps.appliance.report())));
    }, delayMs);
  }

  /** Whoever follows one of its groups is to see it, so it reports on all of its topics. */
  async #reportEverywhere(message: string): Promise<void> {
    for (const topic of this.#topics) await this.#report(topic, message);
  }

  async #report(topic: string, message: string): Promise<void> {
    await this.#session.publish(topic, message);
    this.#deps.onReport(topic, message);
  }

  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error));
  }
}

/** Within a quarter of `ms` to either side, so that a fleet does not speak in chorus. */
function jittered(ms: number): number {
  return ms * (0.75 + Math.random() / 2);
}
