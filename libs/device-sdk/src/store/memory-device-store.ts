import type { DeviceIdentity } from './device-identity.js';
import {
  type BrokerAddress,
  type Credentials,
  type DeviceState,
  DeviceStore,
  deviceState,
  type Joined,
  joinedState,
  type NewCertificate,
  type Next,
  nextState,
  otherSlot,
  type Slot,
  takenState,
} from './device-store.js';

/** A device without a disk, for fleets and tests. */
export class MemoryDeviceStore extends DeviceStore {
  readonly #identity: DeviceIdentity;
  #state: DeviceState = deviceState.parse({ phase: 'factory' });
  #pendingKey: string | undefined;
  #slots: Partial<Record<Slot, NewCertificate>> = {};

  constructor(identity: DeviceIdentity) {
    super();
    this.#identity = identity;
  }

  override async identity(): Promise<DeviceIdentity> {
    return this.#identity;
  }

  override async state(): Promise<DeviceState> {
    return structuredClone(this.#state);
  }

  override async pendingKey(): Promise<string | undefined> {
    return this.#pendingKey;
  }

  override async savePendingKey(key: string): Promise<void> {
    this.#pendingKey = key;
  }

  override async saveJoined(joined: Joined): Promise<void> {
    const { slot } = this.#state;
    this.#slots = { [slot]: joined };
    this.#pendingKey = undefined;
    this.#state = { ...this.#state, ...joinedState(joined, slot) };
  }

  override async saveBroker(broker: BrokerAddress): Promise<void> {
    this.#state = { ...this.#state, broker: { ...broker } };
  }

  override async credentials(which: 'current' | 'next' = 'current'): Promise<Credentials | undefined> {
    const { key, slot, next } = this.#state;
    if (key === undefined || (which === 'next' && next === undefined)) return undefined;
    const kept = this.#slots[which === 'next' && next?.key !== undefined ? otherSlot(slot) : slot];
    return kept && { certificate: kept.certificate, key: kept.key ?? this.#identity.key };
  }

  override async saveNext(next: Next): Promise<void> {
    if (next.certificate !== undefined) {
      this.#slots = { ...this.#slots, [otherSlot(this.#state.slot)]: next.certificate };
      this.#pendingKey = undefined;
    }
    this.#state = { ...this.#state, next: nextState(next) };
  }

  override async takeNext(topics: readonly string[]): Promise<void> {
    this.#state = takenState(this.#state, topics);
  }

  override async dropNext(): Promise<void> {
    this.#state = { ...this.#state, next: undefined };
  }

  override async saveConfirmed(): Promise<void> {
    this.#state = { ...this.#state, toConfirm: false };
  }

  override async saveTopics(topics: readonly string[]): Promise<void> {
    this.#state = { ...this.#state, phase: 'active', topics: [...topics] };
  }

  override async saveSettings(settings: Readonly<Record<string, unknown>>): Promise<void> {
    this.#state = { ...this.#state, settings: structuredClone({ ...settings }) };
  }

  override async forget(): Promise<void> {
    this.#state = deviceState.parse({ phase: 'factory' });
    this.#pendingKey = undefined;
    this.#slots = {};
  }
}
