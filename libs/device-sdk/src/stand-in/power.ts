import type { BrokerAddress, Credentials, DeviceState, Joined, Next } from '../store/device-store.js';
import { DeviceStore } from '../store/device-store.js';
import type { DeviceIdentity } from '../store/device-identity.js';

/** The power is gone: nothing that was going on goes on. */
export class PowerLoss extends Error {
  override readonly name = 'PowerLoss';
}

/**
 * Power that fails at a given moment. Moments are writes to the store (before and after each) and messages (each that a
 * broker gets or sends), counted as they come; for tests only.
 */
export class Power {
  #moments = 0;
  #isOff = false;
  readonly #failsAt: number;
  readonly #onLoss: () => void;

  /** @param failsAt the moment, from 1 on; never if it is 0 */
  constructor(failsAt: number, onLoss: () => void) {
    this.#failsAt = failsAt;
    this.#onLoss = onLoss;
  }

  get moments(): number {
    return this.#moments;
  }

  get isOff(): boolean {
    return this.#isOff;
  }

  /** A moment has come. @throws PowerLoss if it was the one, or is past it */
  pass(): void {
    if (this.#isOff) throw new PowerLoss();
    this.#moments++;
    if (this.#moments !== this.#failsAt) return;
    this.#isOff = true;
    this.#onLoss();
    throw new PowerLoss();
  }

  /** The store as a device under this power reaches it. */
  over(store: DeviceStore): DeviceStore {
    return new PoweredStore(store, this);
  }
}

class PoweredStore extends DeviceStore {
  constructor(
    readonly store: DeviceStore,
    readonly power: Power,
  ) {
    super();
  }

  override identity(): Promise<DeviceIdentity> {
    return this.store.identity();
  }
  override async state(): Promise<DeviceState> {
    if (this.power.isOff) throw new PowerLoss();
    return this.store.state();
  }
  override pendingKey(): Promise<string | undefined> {
    return this.store.pendingKey();
  }
  override credentials(which?: 'current' | 'next'): Promise<Credentials | undefined> {
    return this.store.credentials(which);
  }
  override savePendingKey(key: string): Promise<void> {
    return this.#write(() => this.store.savePendingKey(key));
  }
  override saveJoined(joined: Joined): Promise<void> {
    return this.#write(() => this.store.saveJoined(joined));
  }
  override saveBroker(broker: BrokerAddress): Promise<void> {
    return this.#write(() => this.store.saveBroker(broker));
  }
  override saveNext(next: Next): Promise<void> {
    return this.#write(() => this.store.saveNext(next));
  }
  override takeNext(topics: readonly string[]): Promise<void> {
    return this.#write(() => this.store.takeNext(topics));
  }
  override dropNext(): Promise<void> {
    return this.#write(() => this.store.dropNext());
  }
  override saveConfirmed(): Promise<void> {
    return this.#write(() => this.store.saveConfirmed());
  }
  override saveTopics(topics: readonly string[]): Promise<void> {
    return this.#write(() => this.store.saveTopics(topics));
  }
  override saveSettings(settings: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#write(() => this.store.saveSettings(settings));
  }
  override forget(): Promise<void> {
    return this.#write(() => this.store.forget());
  }

  async #write(write: () => Promise<void>): Promise<void> {
    this.power.pass();
    await write();
    this.power.pass();
  }
}
