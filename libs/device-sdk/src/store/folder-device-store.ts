import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { z } from 'zod';
import { removeFile, writeFileAtomically } from './atomic-file.js';
import { type DeviceIdentity, deviceFile } from './device-identity.js';
import { type Credentials, type DeviceState, DeviceStore, deviceState, type Joined } from './device-store.js';

const SECRET = 0o600;
const PUBLIC = 0o644;

/**
 * A device in a folder: device.json, device.crt, device.key and ca.crt from the factory; operational.crt,
 * operational.key and state.json of its own. state.json is written last and is what counts: the
 * operational files mean nothing until it says so.
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
    return this.#optional('operational.key');
  }

  override savePendingKey(key: string): Promise<void> {
    return writeFileAtomically(join(this.folder, 'operational.key'), key, SECRET);
  }

  override async saveJoined(joined: Joined): Promise<void> {
    if (joined.key !== undefined) await this.savePendingKey(joined.key);
    await writeFileAtomically(join(this.folder, 'operational.crt'), joined.certificate, PUBLIC);
    const key = joined.key === undefined ? 'pre-loaded' : 'operational';
    await this.#changeState({ phase: 'joined', broker: { ...joined.broker }, key, topics: [] });
  }

  override async credentials(): Promise<Credentials | undefined> {
    const { key } = await this.state();
    if (key === undefined) return undefined;
    const [certificate, pem] = await Promise.all([
      this.#required('operational.crt'),
      this.#required(key === 'operational' ? 'operational.key' : 'device.key'),
    ]);
    return { certificate, key: pem };
  }

  override saveTopics(topics: readonly string[]): Promise<void> {
    return this.#changeState({ phase: 'active', topics: [...topics] });
  }

  override saveSettings(settings: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#changeState({ settings: { ...settings } });
  }

  override async forget(): Promise<void> {
    await removeFile(join(this.folder, 'state.json'));
    await removeFile(join(this.folder, 'operational.crt'));
    await removeFile(join(this.folder, 'operational.key'));
  }

  /** One change at a time: each reads what the one before has written. */
  #changeState(change: Partial<DeviceState>): Promise<void> {
    const done = this.#changes.then(async () => {
      const state = { ...(await this.state()), ...change };
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
