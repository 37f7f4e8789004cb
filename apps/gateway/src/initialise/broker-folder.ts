import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Principal } from '@mqtt2go/access';
import {
  type AccessBroker,
  accessBrokerOf,
  brokerFileNames,
  dynsecSnapshot,
  writeTrustAnchors,
} from '@mqtt2go/broker-admin-mosquitto';
import { openActivations } from '@mqtt2go/discovery';
import { PUBLIC_FILE_MODE, SECRET_FILE_MODE, writeFileAtomically } from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { openHomePrincipals } from '@mqtt2go/topic-generator';
import type { Logger } from 'pino';
import { pathOfEntry } from './kubernetes-secrets.js';

/** What controllers are shown in the place of the platform's own certificate. */
const controllersCertificate = 'controllers.crt';
const controllersKey = 'controllers.key';

export interface BrokerFolder {
  /** What the broker reads: its configuration, certificates, and access. */
  readonly folder: string;
  /** The mounted Secret with the broker's files; entries as of `publishDeployment`. */
  readonly source: string;
  /** A mounted Secret of type `kubernetes.io/tls`: the certificate for controllers. */
  readonly controllersTls?: string | undefined;
}

/** Copies the broker's files from where they are mounted, under the names that its configuration has for them. */
export async function writeBrokerFiles({ folder, source, controllersTls }: BrokerFolder): Promise<void> {
  for (const entry of await readdir(source)) {
    // Kubernetes keeps the files' versions in folders whose names begin so.
    const path = entry.startsWith('..') ? undefined : pathOfEntry(entry);
    if (path === undefined) continue;
    const content = await readFile(join(source, entry), 'utf8');
    const isConfiguration = entry === 'mosquitto.conf' && controllersTls !== undefined;
    const written = isConfiguration ? withControllersCertificate(content) : content;
    await writeFileAtomically(join(folder, path), written, SECRET_FILE_MODE);
  }
  if (controllersTls === undefined) return;
  for (const [from, to] of [
    ['tls.crt', controllersCertificate],
    ['tls.key', controllersKey],
  ] as const) {
    await writeFileAtomically(join(folder, to), await readFile(join(controllersTls, from), 'utf8'), SECRET_FILE_MODE);
  }
}

/**
 * The configuration with another certificate on the listeners that take passwords: those that ask for no certificate.
 * @throws Mqtt2goError `configuration_invalid` when there is no such listener
 */
export function withControllersCertificate(configuration: string): string {
  let found = false;
  const parts = configuration.split(/\n(?=(?:#.*\n)*listener )/).map((part) => {
    if (!/^listener /m.test(part) || /^require_certificate true$/m.test(part)) return part;
    found = true;
    return part
      .replace(`/${brokerFileNames.serverCertificate}`, `/${controllersCertificate}`)
      .replace(`/${brokerFileNames.serverKey}`, `/${controllersKey}`);
  });
  if (!found) throw new Mqtt2goError('configuration_invalid', 'mosquitto.conf has no listener for controllers');
  return parts.join('\n');
}

/** A broker's access as the database has it. */
export interface AccessSource {
  readonly role: AccessBroker;
  principals(): AsyncIterable<Principal>;
  /** PEM; of an activation broker, and of a home broker for homes with gateways. */
  trustAnchors?(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface AccessSourceOptions {
  readonly databaseUrl: string;
  /** `activation`, or the name of a home broker. */
  readonly broker: string;
  /** Whether it is the home broker that homes are on which have not been placed. */
  readonly isFirst: boolean;
  /** Whether it is a home broker for homes with gateways of their own. */
  readonly gateways: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** @throws Mqtt2goError `unavailable` without the database */
export async function openAccessSource(options: AccessSourceOptions): Promise<AccessSource> {
  const { databaseUrl, broker, isFirst, gateways, clock, log } = options;
  if (broker === 'activation') {
    const activations = await openActivations({ databaseUrl, log }, clock);
    return {
      role: 'activation',
      principals: () => activations.principals(),
      trustAnchors: () => activations.trustAnchors(),
      close: () => activations.close(),
    };
  }
  const home = await openHomePrincipals({ databaseUrl, log }, { broker, isFirst });
  return {
    role: accessBrokerOf('home', gateways),
    principals: () => home.all(),
    ...(gateways && { trustAnchors: () => home.trustAnchors() }),
    close: () => home.close(),
  };
}

/** Writes what the broker lets in when it starts; whole files, and only what has changed. */
export async function writeAccess(folder: string, source: AccessSource): Promise<void> {
  const path = join(folder, brokerFileNames.snapshot);
  const snapshot = await dynsecSnapshot(source.principals(), source.role);
  if (snapshot !== (await readIfThere(path))) await writeFileAtomically(path, snapshot, PUBLIC_FILE_MODE);
  if (source.trustAnchors === undefined) return;
  const trust = join(folder, brokerFileNames.trust);
  await mkdir(trust, { recursive: true });
  await writeTrustAnchors(trust, await source.trustAnchors());
}

export interface AccessKeeperOptions {
  readonly folder: string;
  readonly intervalMs: number;
  readonly log: Logger;
  /** Opens the database; anew after each failure. */
  readonly open: () => Promise<AccessSource>;
}

/** Keeps a broker's access files as the database has it, from time to time. */
export class AccessKeeper {
  readonly #options: AccessKeeperOptions;
  readonly #ended = new AbortController();
  #source: AccessSource | undefined;
  #lastError: Error | undefined = new Error('not written yet');

  constructor(options: AccessKeeperOptions) {
    this.#options = options;
  }

  /** Resolves when the files have been written once; waits for the database as long as it takes. */
  async once(): Promise<void> {
    while (!(await this.#write())) await this.#pause();
    await this.#close();
  }

  /** Writes until it is stopped. */
  async keep(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#write();
      await this.#pause();
    }
    await this.#close();
  }

  /** @throws why the files could not be written the last time */
  check(): void {
    if (this.#lastError !== undefined) throw this.#lastError;
  }

  stop(): void {
    this.#ended.abort();
  }

  async #write(): Promise<boolean> {
    const { folder, open, log } = this.#options;
    try {
      this.#source ??= await open();
      await writeAccess(folder, this.#source);
      this.#lastError = undefined;
      return true;
    } catch (error) {
      log.warn({ err: error }, 'the access of the broker could not be written');
      this.#lastError = error instanceof Error ? error : new Error(String(error));
      await this.#close();
      return false;
    }
  }

  async #pause(): Promise<void> {
    await sleep(this.#options.intervalMs, undefined, { signal: this.#ended.signal }).catch(() => undefined);
  }

  async #close(): Promise<void> {
    const source = this.#source;
    this.#source = undefined;
    await source?.close().catch(() => undefined);
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
