import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { SECRET_FILE_MODE, writeFileAtomically } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import pg from 'pg';
import { type Binaries, Commands, findBinaries } from './command.js';
import { clearStaleLocks, runningPort } from './server-process.js';

export interface EmbeddedDatabaseOptions {
  /** Holds the cluster, its password and its log; made where it is missing. */
  readonly folder: string;
  /** The database to be there. */
  readonly database: string;
  /** PostgreSQL settings on top of the small defaults. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A few dozen connections of one box's services, in little memory; commits stay durable. */
const smallSettings = {
  listen_addresses: '127.0.0.1',
  max_connections: '60',
  shared_buffers: '24MB',
  io_method: 'sync',
  max_parallel_workers: '0',
  max_worker_processes: '1',
  max_logical_replication_workers: '0',
  max_wal_senders: '0',
  wal_level: 'minimal',
  max_wal_size: '256MB',
  jit: 'off',
  huge_pages: 'off',
  log_min_messages: 'warning',
} as const;

const superuser = 'mqtt2go';
const retryMs = 300;

/**
 * A PostgreSQL server of our own in a folder. It is started as a process of its own by PostgreSQL's
 * `pg_ctl`, so that a signal to us does not end it before our last transaction; one that a killed
 * predecessor left running is taken over as it is.
 */
export class EmbeddedDatabase {
  private constructor(
    /** `postgres://` URL of the database, password included: its socket (`?host=`), or loopback where there is none. */
    readonly url: string,
    private readonly cluster: string,
    private readonly binaries: Binaries,
    private readonly commands: Commands,
  ) {}

  /** @throws Mqtt2goError `unavailable`, with the end of PostgreSQL's own words */
  static async start(options: EmbeddedDatabaseOptions): Promise<EmbeddedDatabase> {
    const folder = resolve(options.folder);
    const cluster = join(folder, 'cluster');
    const binaries = await findBinaries();
    const commands = await Commands.create();
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await commands.own(folder);
    const password = await initialise(folder, cluster, binaries, commands);
    const port =
      (await runningPort(cluster)) ??
      (await launch(folder, cluster, binaries, commands, { ...smallSettings, ...options.settings }));
    const url = await urlOf(folder, port, password, options.database);
    await ensureDatabase(url, options.database);
    return new EmbeddedDatabase(url, cluster, binaries, commands);
  }

  /** Ends the server; open transactions are rolled back. */
  async stop(): Promise<void> {
    const { code, output } = await this.commands.run(
      this.binaries.pg_ctl,
      ['stop', '-D', this.cluster, '-m', 'fast', '-w', '-s'],
      this.cluster,
    );
    if (code !== 0) throw new Mqtt2goError('unavailable', `PostgreSQL did not stop: ${lastLines(output)}`);
  }
}

/** Makes the cluster unless it is there. It appears under its name only when it is whole. */
async function initialise(folder: string, cluster: string, binaries: Binaries, commands: Commands): Promise<string> {
  const passwordFile = join(folder, 'password');
  const isThere = await readFile(join(cluster, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (isThere) {
    const kept = await readFile(passwordFile, 'utf8').catch(() => '');
    if (passwordForm.test(kept.trim())) return kept.trim();
    const renewed = await writePassword(passwordFile, commands);
    await changePassword(cluster, renewed, binaries, commands);
    return renewed;
  }

  // An initdb that a killed predecessor left running still writes to the one that it has begun.
  const begun = (await readdir(folder)).filter((name) => name.startsWith(`${basename(cluster)}.`));
  for (const name of begun) await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
  const unfinished = `${cluster}.${randomBytes(4).toString('hex')}`;
  const password = await writePassword(passwordFile, commands);
  const args = ['-D', unfinished, '-U', superuser, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`];
  const { code, output } = await commands.run(
    binaries.initdb,
    [...args, '-E', 'UTF8', '--locale=C', '--no-instructions'],
    unfinished,
  );
  if (code !== 0)
    throw new Mqtt2goError('unavailable', `The database could not be made in ${folder}: ${lastLines(output)}`);
  await rename(unfinished, cluster);
  return password;
}

const passwordForm = /^[A-Za-z0-9_-]{32}$/;

async function writePassword(file: string, commands: Commands): Promise<string> {
  const password = randomBytes(24).toString('base64url');
  await writeFileAtomically(file, `${password}\n`, SECRET_FILE_MODE);
  await commands.own(file);
  return password;
}

/** For a cluster whose password file a power cut has emptied. Who may write to the cluster's files needs no password. */
async function changePassword(
  cluster: string,
  password: string,
  binaries: Binaries,
  commands: Commands,
): Promise<void> {
  if ((await runningPort(cluster)) !== undefined) {
    await commands.run(binaries.pg_ctl, ['stop', '-D', cluster, '-m', 'fast', '-w', '-s'], cluster);
  }
  await clearStaleLocks(cluster);
  const { code, output } = await commands.run(
    binaries.postgres,
    ['--single', '-D', cluster, 'postgres'],
    cluster,
    `ALTER USER ${superuser} PASSWORD '${password}'\n`,
  );
  if (code !== 0 || /\bERROR:/.test(output))
    throw new Mqtt2goError('unavailable', `The database's lost password could not be replaced: ${lastLines(output)}`);
}

async function launch(
  folder: string,
  cluster: string,
  binaries: Binaries,
  commands: Commands,
  settings: Readonly<Record<string, string>>,
): Promise<number> {
  const sockets = socketPath(folder, 65_535) === undefined ? '' : folder;
  const log = join(folder, 'postgres.log');
  await writeFile(log, '', { mode: 0o600 });
  await commands.own(log);
  // The port of last time if nobody has taken it: processes that know the database by it need no new start.
  const portFile = join(folder, 'port');
  const before = Number(await readFile(portFile, 'utf8').catch(() => '0'));
  // A port that is free now may be taken a moment later, and the last of a killed server may still be there: more than one try.
  for (let tries = 3; ; tries -= 1) {
    await clearStaleLocks(cluster);
    const port = await freePort(tries === 3 ? before : 0).catch(() => freePort());
    const flags = Object.entries({ ...settings, unix_socket_directories: sockets, port: String(port) }).map(
      ([name, value]) => `-c ${name}='${value}'`,
    );
    const { code, output } = await commands.run(
      binaries.pg_ctl,
      ['start', '-D', cluster, '-l', log, '-w', '-t', '60', '-s', '-o', flags.join(' ')],
      cluster,
    );
    if (code === 0) {
      await writeFile(portFile, `${port}\n`);
      return port;
    }
    if (tries > 1) await setTimeout(retryMs);
    else {
      const said = await readFile(log, 'utf8').catch(() => '');
      throw new Mqtt2goError('unavailable', `The database did not start: ${lastLines(said || output)}`);
    }
  }
}

/** A system's limit for the path of a socket, its end included (sockaddr_un; the smallest of those we run on). */
const maxSocketPath = 104;

/** Where PostgreSQL's socket for this port is, unless the folder's name is too long or odd for one. */
function socketPath(folder: string, port: number): string | undefined {
  const path = join(folder, `.s.PGSQL.${port}`);
  const fits = Buffer.byteLength(path) < maxSocketPath && !/[',"\s]/.test(path);
  return process.platform !== 'win32' && fits ? path : undefined;
}

/** A socket costs half of what a TCP connection does for each query. */
async function urlOf(folder: string, port: number, password: string, database: string): Promise<string> {
  const url = new URL(`postgres://${superuser}:${password}@127.0.0.1:${port}/${database}`);
  const path = socketPath(folder, port);
  const isThere = path !== undefined && (await stat(path).catch(() => undefined))?.isSocket();
  if (isThere) url.searchParams.set('host', folder);
  return url.href;
}

/** The wanted port if it is free, any for 0. Rejects when it is not. */
async function freePort(wanted = 0): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, fail) => server.once('error', fail).listen(wanted, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Mqtt2goError('internal');
  return address.port;
}

async function ensureDatabase(url: string, database: string): Promise<void> {
  const admin = new URL(url);
  admin.pathname = '/postgres';
  const client = new pg.Client({ connectionString: admin.href });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' | ');
}
