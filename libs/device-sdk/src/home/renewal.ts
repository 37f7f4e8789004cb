import { createPublicKey } from 'node:crypto';
import {
  type CertificateDetails,
  createCertificateRequest,
  generateKeys,
  readCertificate,
  readPrivateKey,
  writePrivateKey,
} from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { checkBundle, isSameCertificate } from '../activation/bundle.js';
import type { Credentials, DeviceState, NewCertificate } from '../store/device-store.js';
import { writeRenewCertificate } from '../wire.js';
import { type HomeDeps, jittered } from './home-deps.js';

/** A timer takes no longer time, and a clock may be put right meanwhile. */
const longestWaitMs = 86_400_000;

/**
 * The certificate's renewal during one stay: asked for when two thirds of its time are over, and a little later for each
 * device by its serial number. The next certificate is kept beside the one in use, which stays until the next one has
 * worked; then the platform is told so, for it keeps the one before as long.
 */
export class Renewal {
  readonly #deps: HomeDeps;
  readonly #credentials: Credentials;
  readonly #publish: (message: string) => Promise<void>;
  readonly #details: CertificateDetails;
  #timer: NodeJS.Timeout | undefined;
  #toConfirm: boolean;
  #requestedKey: string | undefined;
  #sendsRequest: boolean;
  #isAsking = false;

  /** @param publish on the device's own topic; it rejects when the connection is gone */
  constructor(
    deps: HomeDeps,
    credentials: Credentials,
    state: DeviceState,
    publish: (message: string) => Promise<void>,
  ) {
    this.#deps = deps;
    this.#credentials = credentials;
    this.#publish = publish;
    this.#details = readCertificate(credentials.certificate);
    this.#toConfirm = state.toConfirm;
    this.#sendsRequest = deps.identity.file.key_mode === 'csr';
  }

  /**
   * The platform has given the device its topics, so that it is at home: it tells what it owes, and asks when it is due.
   * @param unixMs the time by the platform's message
   */
  async served(unixMs: number): Promise<void> {
    this.#deps.clock.heard(unixMs, this.#details.notBeforeMs);
    if (!this.#isAsking) await this.#begin();
  }

  async #begin(): Promise<void> {
    if (this.#toConfirm) await this.#confirm();
    else await this.#askWhenDue();
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /**
   * @returns the certificate that is to be tried, if there is one
   * @throws Mqtt2goError `certificate_not_accepted`
   */
  async answered(bundle: string): Promise<NewCertificate | undefined> {
    const { store, identity, onNotice } = this.#deps;
    if (isSameCertificate(bundle, this.#credentials.certificate)) {
      await this.#answeredWithOwn();
      return undefined;
    }
    const checked = checkBundle({
      bundle,
      deviceId: identity.file.device_id,
      ca: identity.ca,
      preloadedKey: identity.key,
      usedKey: this.#requestedKey ?? this.#credentials.key,
      requestedKey: undefined,
    });
    if (!this.#isAsking || this.#toConfirm || (await store.state()).next !== undefined) return undefined;
    clearTimeout(this.#timer);
    onNotice({ kind: 'renewing', direction: 'local', what: 'the next certificate is its own; tries it' });
    return checked;
  }

  /** What it has told is known; or it is too early to ask, by the platform's clock. */
  async #answeredWithOwn(): Promise<void> {
    if (this.#toConfirm) {
      await this.#deps.store.saveConfirmed();
      this.#toConfirm = false;
      this.#isAsking = false;
      await this.#askWhenDue();
    } else if (this.#isAsking) {
      this.#again();
    }
  }

  /** A renewal that is refused is asked for again, in another way where that helps. */
  async refused({ code }: Mqtt2goError): Promise<void> {
    if (!this.#isAsking) return;
    if (code === 'csr_required' && !this.#sendsRequest) {
      this.#sendsRequest = true;
      await this.#ask();
      return;
    }
    this.#again();
  }

  /** Puts the next attempt off; a platform that does not answer is asked again, too. */
  #again(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#later(jittered(this.#deps.renewAgainMs, this.#deps.random));
  }

  async #askWhenDue(): Promise<void> {
    const nowMs = this.#deps.clock.now(this.#details.notBeforeMs);
    // Without any clock it waits for the platform to tell the time.
    if (nowMs === undefined) return;
    const waitMs = renewAtMs(this.#details) - nowMs;
    clearTimeout(this.#timer);
    if (waitMs <= 0) await this.#askUnlessTrying();
    else this.#timer = this.#later(Math.min(waitMs, longestWaitMs));
  }

  /** What is to be tried may be the next certificate already, and would be given up for another. */
  async #askUnlessTrying(): Promise<void> {
    if ((await this.#deps.store.state()).next === undefined) await this.#ask();
    else this.#again();
  }

  #later(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      // A connection that is gone ends the stay, which says so itself.
      this.#begin().catch(() => undefined);
    }, ms);
  }

  async #ask(): Promise<void> {
    const { clock, identity, onNotice } = this.#deps;
    this.#isAsking = true;
    this.#requestedKey = this.#sendsRequest ? await this.#nextKey() : undefined;
    const csr = this.#requestedKey === undefined ? undefined : request(identity.file.device_id, this.#requestedKey);
    const message = writeRenewCertificate(clock.own(), this.#details.serialNumber, csr);
    onNotice({ kind: 'renewing', direction: 'out', what: 'asks for its next certificate', message });
    this.#again();
    await this.#publish(message);
  }

  async #confirm(): Promise<void> {
    const { clock, onNotice } = this.#deps;
    this.#isAsking = true;
    const message = writeRenewCertificate(clock.own(), this.#details.serialNumber, undefined);
    onNotice({ kind: 'renewed', direction: 'out', what: 'tells that the renewed certificate works', message });
    this.#again();
    await this.#publish(message);
  }

  /** Kept before the request leaves: if the answer is lost with the power, the next request is for the same key. */
  async #nextKey(): Promise<string> {
    const { store } = this.#deps;
    const pending = await store.pendingKey();
    if (pending !== undefined) return pending;
    const key = writePrivateKey((await generateKeys()).privateKey);
    await store.savePendingKey(key);
    return key;
  }
}

/** Unix time in milliseconds: between two thirds and three quarters of the certificate's time, for each at its own. */
export function renewAtMs({ notBeforeMs, notAfterMs, serialNumber }: CertificateDetails): number {
  const spread = Number.parseInt(serialNumber.slice(-8), 16) / 2 ** 32;
  return notBeforeMs + (notAfterMs - notBeforeMs) * (2 / 3 + spread / 12);
}

function request(deviceId: string, key: string): string {
  const privateKey = readPrivateKey(key);
  return createCertificateRequest({ deviceId, keys: { privateKey, publicKey: createPublicKey(privateKey) } });
}
