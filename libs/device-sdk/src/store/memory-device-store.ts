import type { DeviceIdentity } from './device-identity.js';
import { type Credentials, type DeviceState, DeviceStore, deviceState, type Joined } from './device-store.js';

/** A device without a disk, for fleets and tests. */
export class MemoryDeviceStore extends DeviceStore {
  readonly #identity: DeviceIdentity;
  #state: DeviceState = deviceState.parse({ phase: 'factory' });
  #key: string | undefined;
  #certificate: string | undefined;

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
    return this.#key;
  }

  override async savePendingKey(key: string): Promise<void> {
    this.#key = key;
  }

  override async saveJoined(joined: Joined): Promise<void> {
    this.#key = joined.key ?? this.#key;
    this.#certificate = joined.certificate;
    const key = joined.key === undefined ? 'pre-loaded' : 'operational';
    this.#state = { ...this.#state, phase: 'joined', broker: { ...joined.broker }, key, topics: [] };
  }

  override async credentials(): Promise<Credentials | undefined> {
    const key = this.#state.key === 'operational' ? this.#key : this.#identity.key;
    if (this.#state.key === undefined || this.#certificate === undefined || key === undefined) return undefined;
    return { certificate: this.#certificate, key };
  }

  override async saveTopics(topics: readonly string[]): Promise<void> {
    this.#state = { ...this.#state, phase: 'active', topics: [...topics] };
  }

  override async saveSettings(settings: Readonly<Record<string, unknown>>): Promise<void> {
    this.#state = { ...this.#state, settings: structuredClone({ ...settings }) };
  }

  override async forget(): Promise<void> {
    this.#state = deviceState.parse({ phase: 'factory' });
    this.#key = undefined;
    this.#certificate = undefined;
  }
}
