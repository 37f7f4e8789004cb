import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { z } from 'zod';
import { removeFile, writeFileAtomically } from './atomic-file.js';
import { type DeviceIdentity, deviceFile } from './device-identity.js';
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

const SECRET = 0o600;
const PUBLIC = 0o644;
const slots: readonly Slot[] = ['operational', 'operational-2'];

/**
 * A device in a folder: device.json, device.crt, device.key and ca.crt from the factory; state.json, pending.key and two
 * slots for a certificate and its key (operational, operational-2) of its own. state.json is written last and is what
 * counts: the other files mean nothing until it says so, and none that it names is written to.
 */
export class FolderDeviceStore extends DeviceStore {
  #changes: Promise<void> = Promise.resolve();

  constructor(readonly folder: string) {
    super();
  }

  override async identity(): Promise<DeviceIdentity> {
    // First and alone, so that a folder that is not a device's is always told by the same file.
    const text = await this.#required('device.json');
    const [certificate, key, ca] = await Promise.all([
      this.#required('device.crt'),
      this.#required('device.key'),
      this.#required('ca.crt'),
    ]);
    return { file: this.#parse('device.json', deviceFile, text), certificate, key, ca };
  }

  override async state(): Promise<DeviceState> {
    const text = await this.#optional('state.json');
    return text === undefined ? deviceState.parse({ phase: 'factory' }) : this.#parse('state.json', deviceState, text);
  }

  override pendingKey(): Promise<string | undefined> {
    return this.#optional('pending.key');
  }

  override savePendingKey(key: string): Promise<void> {
    return writeFileAtomically(join(this.folder, 'pending.key'), key, SECRET);
  }

  override async saveJoined(joined: Joined): Promise<void> {
    const written = await this.#writeBesides(joined);
    await this.#changeState(() => joinedState(joined, written));
    await removeFile(join(this.folder, 'pending.key'));
  }

  override saveBroker(broker: BrokerAddress): Promise<void> {
    return this.#changeState(() => ({ broker: { ...broker } }));
  }

  override async credentials(which: 'current' | 'next' = 'current'): Promise<Credentials | undefined> {
    const { key, slot, next } = await this.state();
    if (which === 'next' && next === undefined) return undefined;
    if (which === 'next' && next?.key !== undefined) return this.#read(otherSlot(slot), next.key);
    return key === undefined ? undefined : this.#read(slot, key);
  }

  override async saveNext(next: Next): Promise<void> {
    // What stands in the way of the files goes first: until they are there it must not name them.
    await this.dropNext();
    if (next.certificate !== undefined) await this.#writeBesides(next.certificate);
    await this.#changeState(() => ({ next: nextState(next) }));
    if (next.certificate !== undefined) await removeFile(join(this.folder, 'pending.key'));
  }

  override takeNext(topics: readonly string[]): Promise<void> {
    return this.#changeState((state) => takenState(state, topics));
  }

  override async dropNext(): Promise<void> {
    if ((await this.state()).next !== undefined) await this.#changeState(() => ({ next: undefined }));
  }

  override saveConfirmed(): Promise<void> {
    return this.#changeState(() => ({ toConfirm: false }));
  }

  override saveTopics(topics: readonly string[]): Promise<void> {
    return this.#changeState(() => ({ phase: 'active', topics: [...topics] }));
  }

  override saveSettings(settings: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#changeState(() => ({ settings: { ...settings } }));
  }

  override async forget(): Promise<void> {
    await removeFile(join(this.folder, 'state.json'));
    for (const slot of slots) {
      await removeFile(join(this.folder, `${slot}.crt`));
      await removeFile(join(this.folder, `${slot}.key`));
    }
    await removeFile(join(this.folder, 'pending.key'));
  }

  /** Writes a certificate to the slot that is not in use. */
  async #writeBesides({ certificate, key }: NewCertificate): Promise<Slot> {
    const { slot, key: inUse } = await this.state();
    const free = inUse === undefined ? slot : otherSlot(slot);
    if (key !== undefined) await writeFileAtomically(join(this.folder, `${free}.key`), key, SECRET);
    await writeFileAtomically(join(this.folder, `${free}.crt`), certificate, PUBLIC);
    return free;
  }

  async #read(slot: Slot, key: 'pre-loaded' | 'operational'): Promise<Credentials> {
    const [certificate, pem] = await Promise.all([
      this.#required(`${slot}.crt`),
      this.#required(key === 'operational' ? `${slot}.key` : 'device.key'),
    ]);
    return { certificate, key: pem };
  }

  /** One change at a time: each reads what the one before has written. */
  #changeState(change: (state: DeviceState) => Partial<DeviceState>): Promise<void> {
    const done = this.#changes.then(async () => {
      const before = await this.state();
      const state = { ...before, ...change(before) };
      await writeFileAtomically(join(this.folder, 'state.json'), `${JSON.stringify(state, null, 2)}\n`, SECRET);
    });
    this.#changes = done.catch(() => undefined);
    return done;
  }

  async #optional(name: string): Promise<string | undefined> {
    const path = join(this.folder, name);
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw new Mqtt2goError('configuration_invalid', `${path} cannot be read.`, { cause: error });
    }
  }

  async #required(name: string): Promise<string> {
    const text = await this.#optional(name);
    if (text !== undefined) return text;
    throw new Mqtt2goError(
      'configuration_invalid',
      `${join(this.folder, name)} is missing; the folder is not a device’s.`,
    );
  }

  #parse<S extends z.ZodType>(name: string, schema: S, text: string): z.output<S> {
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      throw new Mqtt2goError('configuration_invalid', `${join(this.folder, name)} cannot be understood.`, {
        cause: error,
      });
    }
  }
}
