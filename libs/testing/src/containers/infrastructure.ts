import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { promisify } from 'node:util';
import { injectedImages, programImage } from './images.js';
import type { TestVolume } from './networks.js';
import { type ContainerOptions, type Mount, type RunningContainer, startContainer } from './running-container.js';

/** The number of the user `mosquitto` in the official image. */
const mosquittoUser = 1883;

type Placing = Pick<ContainerOptions, 'networks' | 'aliases' | 'env' | 'timeoutMs'>;

export interface PostgresOptions extends Placing {
  /** Further settings of the server: `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Keeps its data in that much memory, and nowhere else: a disk that can be full. */
  readonly diskMegabytes?: number;
  /** Keeps its data there: a disk that outlives it. */
  readonly volume?: TestVolume;
}

export interface PostgresContainer {
  readonly container: RunningContainer;
  /** From this machine. */
  readonly url: string;
  /** From containers in its networks, by its first alias (`postgres`). */
  readonly urlInside: string;
}

/** PostgreSQL with an empty database `mqtt2go`, ready to be used. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresContainer> {
  const { settings = {}, diskMegabytes, volume, aliases = ['postgres'], ...placing } = options;
  const password = randomBytes(12).toString('hex');
  const dataFolder = '/var/lib/postgresql';
  const container = await startContainer({
    ...placing,
    image: injectedImages().bases.postgres,
    name: 'postgres',
    aliases,
    user: 'postgres',
    readOnly: true,
    ports: [5432],
    mounts: volume === undefined ? [] : [{ source: volume.name, target: dataFolder }],
    env: { POSTGRES_PASSWORD: password, POSTGRES_DB: 'mqtt2go', ...options.env },
    tmpfs: {
      '/tmp': '',
      '/var/run/postgresql': 'mode=1777',
      ...(diskMegabytes === undefined ? {} : { [dataFolder]: `size=${diskMegabytes}m,mode=1777` }),
    },
    command: Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    // The server that runs the first set-up listens to nobody.
    ready: /listening on IPv4 address[^]*ready to accept connections/,
  });
  const urlAt = (host: string, port: number): string => `postgres://postgres:${password}@${host}:${port}/mqtt2go`;
  return { container, url: urlAt('127.0.0.1', container.port(5432)), urlInside: urlAt(aliases[0] ?? '', 5432) };
}

export interface MosquittoOptions extends Placing {
  /** Has mosquitto.conf and what that names; mounted at /mosquitto/config, read-only. A folder here, or a volume. */
  readonly folder: string;
  readonly ports: ContainerOptions['ports'];
  /** More mounts, such as the folder that the platform writes access rights into. */
  readonly mounts?: readonly Mount[];
  /** Who it runs as. By default whoever runs the tests, or Mosquitto's own user, to whom the folder is then given. */
  readonly user?: string;
  readonly image?: string;
}

/** A Mosquitto, listening. */
export async function startMosquitto(options: MosquittoOptions): Promise<RunningContainer> {
  const { folder, mounts = [], user = await ownerOf(options.folder), ...rest } = options;
  return startContainer({
    image: injectedImages().bases.mosquitto,
    name: 'mosquitto',
    ...rest,
    user,
    readOnly: true,
    mounts: [{ source: folder, target: '/mosquitto/config', readOnly: true }, ...mounts],
    tmpfs: { '/tmp': '', '/mosquitto/data': 'mode=1777', '/mosquitto/log': 'mode=1777' },
    ready: /mosquitto version [\d.]+ running/,
  });
}

/** Mosquitto does not stay root, and could not read what a test that is root wrote: it is given to Mosquitto's user. */
async function ownerOf(folder: string): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0) return `${uid}:${process.getgid?.() ?? uid}`;
  if (isAbsolute(folder)) await promisify(execFile)('chown', ['-R', `${mosquittoUser}:${mosquittoUser}`, folder]);
  return `${mosquittoUser}:${mosquittoUser}`;
}

export interface ServiceOptions extends Placing {
  readonly mounts?: readonly Mount[];
  readonly command?: readonly string[];
  readonly ports?: ContainerOptions['ports'];
  readonly user?: string;
  /** `healthy` unless set. */
  readonly ready?: ContainerOptions['ready'];
}

/** One program of the platform from its image: non-root, with a read-only root file system. */
export async function startService(program: string, options: ServiceOptions = {}): Promise<RunningContainer> {
  return startContainer({
    ready: 'healthy',
    aliases: [program],
    ...options,
    image: programImage(program),
    name: program,
    readOnly: true,
    tmpfs: { '/tmp': '' },
  });
}

/** Runs a program that ends by itself (`initialise`); resolves with what it said. @throws Error when it failed */
export async function runProgram(program: string, options: ServiceOptions = {}): Promise<string> {
  const container = await startService(program, { ...options, ready: undefined });
  try {
    const status = await container.ended();
    const log = await container.logs();
    if (status !== 0) throw new Error(`${program} ended with ${status}:\n${log.slice(-4_000)}`);
    return log;
  } finally {
    await container.remove();
  }
}
