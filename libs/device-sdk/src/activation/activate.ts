import { createCertificateRequest, generateKeys, readPrivateKey, writePrivateKey } from '@mqtt2go/pki';
import { type ErrorCode, Mqtt2goError, topics } from '@mqtt2go/protocol';
import { createPublicKey } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import type { BrokerFinder, FoundBroker } from '../broker-finder.js';
import type { DeviceClock } from '../clock.js';
import { SecureSession } from '../connection/secure-session.js';
import type { DeviceProblem, DeviceStep } from '../device-events.js';
import { type BackOff, isFinal, retrying } from '../retrying.js';
import type { DeviceIdentity } from '../store/device-identity.js';
import type { DeviceStore } from '../store/device-store.js';
import {
  type BrokerDataAnswer,
  readBrokerData,
  readCredentials,
  readWifiCredentials,
  type WifiCredentials,
  writeGetBrokerData,
  writeGetCredentials,
  writeGetWifiCredentials,
} from '../wire.js';
import { checkBundle } from './bundle.js';

export interface ActivationDeps {
  readonly store: DeviceStore;
  readonly identity: DeviceIdentity;
  readonly finder: BrokerFinder;
  readonly clock: DeviceClock;
  readonly random: () => number;
  readonly backOff: BackOff;
  readonly connectTimeoutMs: number;
  readonly lookup: LookupFunction | undefined;
  readonly answerTimeoutMs: number;
  /** See `DeviceOptions`. */
  readonly joinWifi: ((wifi: WifiCredentials) => Promise<void> | void) | undefined;
  readonly onStep: (step: DeviceStep) => void;
  readonly onProblem: (problem: DeviceProblem) => void;
}

/**
 * Steps 3 to 7: finds a broker to be activated at and gets from it the home's broker and the operational certificate,
 * again and again until somebody adds the device. A refused connection or subscription means that nobody has yet.
 * @throws Mqtt2goError `server_untrusted` (the code was not said), `certificate_not_accepted`, or the code of a final refusal
 */
export async function activate(deps: ActivationDeps, signal: AbortSignal): Promise<void> {
  const activation = new Activation(deps, signal);
  try {
    await retrying(() => activation.attempt(), { ...deps, signal, ends: (error) => activation.endsBy(error) });
  } finally {
    await activation.close();
  }
}

const untold: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['wifi_not_set', 'wifi_already_handed_out']);

class Activation {
  readonly #deps: ActivationDeps;
  readonly #signal: AbortSignal;
  readonly #topic: string;
  #session: SecureSession | undefined;
  #found: FoundBroker | undefined;
  #sendsRequest: boolean;
  /** Where the attempt went that goes on now or was the last. */
  #where: FoundBroker['where'] = 'discovery';

  constructor(deps: ActivationDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    this.#topic = topics.activation.build({ activationCode: deps.identity.file.activation_code });
    this.#sendsRequest = deps.identity.file.key_mode === 'csr';
  }

  /** Whoever answers to MQTT2GO.local may be anybody's: it is passed over for once, and never the end. */
  endsBy(error: unknown): boolean {
    return this.#where === 'discovery' && isFinal(error);
  }

  async attempt(): Promise<void> {
    try {
      await this.#attempt();
    } catch (error) {
      // Nobody adds the device there; somebody may at the other, and at the first the next time.
      if (this.#where === 'local' || this.#found?.passedOver === true) await this.close();
      throw error;
    }
  }

  async #attempt(): Promise<void> {
    const { store, identity, onStep } = this.#deps;
    const session = await this.#connected();
    await session.subscribe([this.#topic]);
    const { answer, key } = await this.#ask(session);
    const checked = checkBundle({
      bundle: answer.deviceCertificate,
      deviceId: identity.file.device_id,
      ca: identity.ca,
      preloadedKey: identity.key,
      requestedKey: key,
    });
    // Kept before the certificate is: with that, the device does not come here again.
    if (this.#found?.where === 'local') await this.#askForWifi(session);
    await store.saveJoined({ broker: { host: answer.brokerHost, port: answer.brokerPort }, ...checked });
    onStep({
      step: 7,
      direction: 'in',
      what: `the home's broker is ${answer.brokerHost}:${answer.brokerPort}; certificate checked and stored, connection closed`,
      topic: this.#topic,
      message: answer.message,
    });
  }

  async close(): Promise<void> {
    await this.#session?.close();
    this.#session = undefined;
  }

  /** The connection outlives a refused subscription: to ask again on it is cheaper than a new handshake. */
  async #connected(): Promise<SecureSession> {
    if (this.#session?.isOpen) return this.#session;
    const { finder, identity, onStep, connectTimeoutMs, lookup, clock } = this.#deps;
    const found = await finder.find(identity.file.discovery, this.#signal, this.#where === 'local');
    this.#where = found.where;
    this.#found = found;
    const address = `${found.host}:${found.port}`;
    if (found.where === 'local') {
      onStep({ step: 3, direction: 'local', what: `MQTT2GO.local is at ${address}` });
    } else {
      onStep({
        step: 3,
        direction: 'local',
        what: found.passedOver
          ? 'whoever is MQTT2GO.local does not add it'
          : 'MQTT2GO.local is not in the local network',
      });
      onStep({ step: 4, direction: 'local', what: `goes to the Discovery server at ${address}` });
    }
    this.#session = await SecureSession.open(
      {
        ...found,
        ca: identity.ca,
        certificate: identity.certificate,
        key: identity.key,
        clientId: identity.file.device_id,
        connectTimeoutMs,
        clock,
        lookup,
        keepaliveSeconds: 30,
      },
      this.#signal,
    );
    onStep({
      step: 5,
      direction: 'local',
      what: `the server's certificate is from the device's CA; connected with the pre-loaded certificate`,
    });
    return this.#session;
  }

  async #ask(session: SecureSession): Promise<{ answer: BrokerDataAnswer; key: string | undefined }> {
    const key = this.#sendsRequest ? await this.#ownKey() : undefined;
    try {
      return { answer: await this.#exchange(session, key), key };
    } catch (error) {
      if (this.#sendsRequest || !(error instanceof Mqtt2goError) || error.code !== 'csr_required') throw error;
      this.#sendsRequest = true;
      return this.#ask(session);
    }
  }

  async #exchange(session: SecureSession, key: string | undefined): Promise<BrokerDataAnswer> {
    const { clock, onStep } = this.#deps;
    const csr = key === undefined ? undefined : this.#request(key);
    const topic = this.#topic;
    if (this.#found?.where !== 'local') {
      const message = writeGetBrokerData(clock.own(), csr);
      onStep({ step: 6, direction: 'out', what: 'asks for its broker', topic, message });
      return this.#answerTo(session, topic, message, readBrokerData);
    }
    const { host: brokerHost, port: brokerPort } = this.#found;
    const message = writeGetCredentials(clock.own(), csr);
    onStep({ step: 6, direction: 'out', what: 'asks the gateway for its certificate', topic, message });
    return { ...(await this.#answerTo(session, topic, message, readCredentials)), brokerHost, brokerPort };
  }

  /** What it does not tell, it does not tell the next time: the device stays in the network that it is in. */
  async #askForWifi(session: SecureSession): Promise<void> {
    const { joinWifi, identity, clock, onStep } = this.#deps;
    if (joinWifi === undefined) return;
    const topic = topics.wifi.build({ activationCode: identity.file.activation_code });
    await session.subscribe([topic]);
    try {
      const wifi = await this.#answerTo(session, topic, writeGetWifiCredentials(clock.own()), readWifiCredentials);
      await joinWifi(wifi);
      onStep({ step: 7, direction: 'in', what: `the home's Wi-Fi is ${wifi.ssid}` });
    } catch (error) {
      if (!(error instanceof Mqtt2goError) || !untold.has(error.code)) throw error;
      onStep({ step: 7, direction: 'in', what: `the gateway does not tell the home's Wi-Fi: ${error.code}` });
    }
  }

  async #answerTo<T extends object>(
    session: SecureSession,
    topic: string,
    message: string,
    read: (payload: Uint8Array) => T | Mqtt2goError | undefined,
  ): Promise<T> {
    const { answerTimeoutMs } = this.#deps;
    const answer = firstAnswer({ session, topic, read, timeoutMs: answerTimeoutMs, signal: this.#signal });
    // It may be refused before the publication is acknowledged.
    answer.catch(() => undefined);
    await session.publish(topic, message);
    return answer;
  }

  /** The key is kept before the request leaves: if the answer is lost with the power, the next request is for the same key. */
  async #ownKey(): Promise<string> {
    const { store } = this.#deps;
    const pending = await store.pendingKey();
    if (pending !== undefined) return pending;
    const key = writePrivateKey((await generateKeys()).privateKey);
    await store.savePendingKey(key);
    return key;
  }

  #request(key: string): string {
    const privateKey = readPrivateKey(key);
    const keys = { privateKey, publicKey: createPublicKey(privateKey) };
    return createCertificateRequest({ deviceId: this.#deps.identity.file.device_id, keys });
  }
}

/** The first report on the topic that answers; the device's own command comes back on it too and is passed over. */
export function firstAnswer<T extends object>({
  session,
  topic,
  read,
  timeoutMs,
  signal,
}: {
  readonly session: SecureSession;
  readonly topic: string;
  readonly read: (payload: Uint8Array) => T | Mqtt2goError | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = (act: () => void): void => {
      clearTimeout(timer);
      stopListening();
      signal.removeEventListener('abort', aborted);
      act();
    };
    const aborted = (): void => done(() => reject(signal.reason));
    const timer = setTimeout(
      () => done(() => reject(new Mqtt2goError('timeout', 'The activation broker did not answer in time.'))),
      timeoutMs,
    );
    const stopListening = session.onMessage((from, payload) => {
      if (from !== topic) return;
      const reading = read(payload);
      if (reading === undefined) return;
      done(() => (reading instanceof Mqtt2goError ? reject(reading) : resolve(reading)));
    });
    signal.addEventListener('abort', aborted, { once: true });
    void session.closed.then(() =>
      done(() => reject(new Mqtt2goError('unavailable', 'The activation broker closed the connection.'))),
    );
  });
}
