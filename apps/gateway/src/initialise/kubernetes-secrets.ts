import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeKey } from '@mqtt2go/config';
import { createEncryptionKey, SECRET_FILE_MODE, writeFileAtomically } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import { type KubernetesApi, refusalOf } from './kubernetes-api.js';

/** A Secret's entries have no `/` in their names. No file of a deployment has this in its name. */
const slash = '__';
/** The API server takes 1 MiB with everything around it. */
const maxSecretBytes = 1_000_000;
const maxConflicts = 10;
/** Written by whoever runs beside a broker, from the database; it grows past what a Secret may hold. */
const accessFolder = 'access';

const storedSecret = z.object({
  metadata: z.looseObject({ name: z.string(), resourceVersion: z.string() }),
  data: z.record(z.string(), z.string()).optional(),
});
type StoredSecret = z.infer<typeof storedSecret>;
type Entries = Readonly<Record<string, string>>;

/** The Secrets of one namespace, as far as the service account's role goes. */
export class KubernetesSecrets {
  constructor(
    private readonly api: KubernetesApi,
    private readonly labels: Readonly<Record<string, string>> = {},
  ) {}

  /** The entries of a Secret, in base64; undefined when there is no such Secret. */
  async read(name: string): Promise<Entries | undefined> {
    const stored = await this.#get(name);
    return stored === undefined ? undefined : (stored.data ?? {});
  }

  /**
   * Creates the Secret, or gives it these entries and no others; values in base64. Labels and annotations that it has
   * already stay.
   */
  async write(name: string, entries: Entries): Promise<'created' | 'replaced' | 'unchanged'> {
    return this.#change(name, () => entries);
  }

  /**
   * The entry of a Secret; made when it is not there. Two that do this at once get the same value.
   * @param make the value, in base64
   */
  async ensure(name: string, entry: string, make: () => string): Promise<string> {
    let value = '';
    await this.#change(name, (existing) => {
      value = existing[entry] ?? make();
      return { ...existing, [entry]: value };
    });
    return value;
  }

  /** Reads, changes, writes; once more from the start when somebody else was faster. */
  async #change(name: string, changed: (existing: Entries) => Entries): Promise<'created' | 'replaced' | 'unchanged'> {
    for (let attempt = 0; attempt < maxConflicts; attempt += 1) {
      const stored = await this.#get(name);
      const existing = stored?.data ?? {};
      const data = changed(existing);
      if (stored !== undefined && sameEntries(existing, data)) return 'unchanged';
      const answer =
        stored === undefined
          ? await this.api.ask('POST', this.#path(), this.#object({ name, labels: this.labels }, data))
          : await this.api.ask('PUT', this.#path(name), this.#object(stored.metadata, data));
      if (answer.status < 300) return stored === undefined ? 'created' : 'replaced';
      if (answer.status !== 409) throw refused(stored === undefined ? 'created' : 'replaced', name, refusalOf(answer));
    }
    throw new Mqtt2goError('unavailable', `the Secret ${name} is changed by somebody else all the time`);
  }

  async #get(name: string): Promise<StoredSecret | undefined> {
    const answer = await this.api.ask('GET', this.#path(name));
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw refused('read', name, refusalOf(answer));
    const stored = storedSecret.safeParse(answer.body);
    if (!stored.success) throw refused('read', name, 'the answer is no Secret');
    return stored.data;
  }

  #path(name?: string): string {
    const all = `/api/v1/namespaces/${encodeURIComponent(this.api.namespace)}/secrets`;
    return name === undefined ? all : `${all}/${encodeURIComponent(name)}`;
  }

  #object(metadata: object, data: Entries): object {
    return { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata, data };
  }
}

function refused(done: string, name: string, reason: string): Mqtt2goError {
  return new Mqtt2goError('unavailable', `the Secret ${name} cannot be ${done}: ${reason}`);
}

function sameEntries(one: Entries, other: Entries): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

/**
 * The key-encryption key of a Secret's entry `key`; made there when there is none.
 * @returns base64, 32 bytes
 * @throws Mqtt2goError `configuration_invalid` when the entry holds something else
 */
export async function keepEncryptionKey(secrets: KubernetesSecrets, name: string): Promise<string> {
  const stored = await secrets.ensure(name, 'key', () => toBase64(createEncryptionKey()));
  const key = Buffer.from(stored, 'base64').toString('utf8').trim();
  if (decodeKey(key) === undefined) {
    throw new Mqtt2goError('configuration_invalid', `'key' in the Secret ${name} does not hold 32 bytes in base64`);
  }
  return key;
}

/** The folders of a deployment that processes mount, each from a Secret of its own. */
export function deploymentFolders(services: readonly string[], brokers: readonly string[]): string[] {
  return [...services.map((name) => `services/${name}`), ...brokers.map((name) => `brokers/${name}`), 'operator'];
}

/** `services/discovery` to `<prefix>-service-discovery`, `brokers/home-0` to `<prefix>-broker-home-0`. */
export function secretNameOf(prefix: string, folder: string): string {
  return `${prefix}-${folder.replace(/^(service|broker)s\//, '$1-')}`;
}

/** The path that an entry is named by; undefined for one that would lead out of its folder. */
export function pathOfEntry(entry: string): string | undefined {
  const parts = entry.split(slash);
  return parts.some((part) => part === '' || part === '.' || part === '..') ? undefined : join(...parts);
}

export interface DeploymentSecrets {
  readonly secrets: KubernetesSecrets;
  /** How the Secrets' names begin. */
  readonly prefix: string;
  /** The deployment's folder. */
  readonly root: string;
  /** As of {@link deploymentFolders}. */
  readonly folders: readonly string[];
}

/** Writes what is in the Secrets into the folder, so that only what has to be renewed is made anew. */
export async function restoreDeployment({ secrets, prefix, root, folders }: DeploymentSecrets): Promise<void> {
  for (const folder of folders) {
    const entries = (await secrets.read(secretNameOf(prefix, folder))) ?? {};
    for (const [entry, value] of Object.entries(entries)) {
      const path = pathOfEntry(entry);
      if (path === undefined) continue;
      const content = Buffer.from(value, 'base64').toString('utf8');
      await writeFileAtomically(join(root, folder, path), content, SECRET_FILE_MODE);
    }
  }
}

/**
 * Writes each folder into its Secret; entries are named by the files' paths, `/` as `__`. A broker's access is left out.
 * @returns the names of the Secrets that have changed
 * @throws Mqtt2goError `unavailable`; `configuration_invalid` when a folder is not there
 */
export async function publishDeployment({ secrets, prefix, root, folders }: DeploymentSecrets): Promise<string[]> {
  const changed: string[] = [];
  for (const folder of folders) {
    const name = secretNameOf(prefix, folder);
    const entries = await readEntries(join(root, folder));
    if (Object.keys(entries).length === 0) {
      throw new Mqtt2goError('configuration_invalid', `${folder} holds nothing that could go into the Secret ${name}`);
    }
    const bytes = Object.values(entries).reduce((sum, value) => sum + value.length, 0);
    if (bytes > maxSecretBytes) {
      throw new Mqtt2goError('configuration_invalid', `${folder} has ${bytes} bytes, too many for the Secret ${name}`);
    }
    if ((await secrets.write(name, entries)) !== 'unchanged') changed.push(name);
  }
  return changed;
}

async function readEntries(folder: string): Promise<Record<string, string>> {
  await mkdir(folder, { recursive: true });
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const entries: Record<string, string> = {};
  for (const file of files) {
    const parents = file.parentPath.slice(folder.length).split(/[\\/]/).filter(Boolean);
    if (!file.isFile() || parents[0] === accessFolder) continue;
    entries[[...parents, file.name].join(slash)] = (await readFile(join(file.parentPath, file.name))).toString(
      'base64',
    );
  }
  return entries;
}

function toBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
