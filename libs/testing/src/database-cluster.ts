import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedDatabase } from '@mqtt2go/database-embedded';

export interface DatabaseCluster {
  /** Of the `postgres` database, as its superuser. */
  readonly adminUrl: string;
  stop(): Promise<void>;
}

/** Starts a PostgreSQL that is small, forgets everything on `stop`, and does not wait for the disk. */
export async function startDatabaseCluster(): Promise<DatabaseCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-pg-'));
  const database = await EmbeddedDatabase.start({
    folder,
    database: 'postgres',
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' },
  });
  const unguard = await endWithThisProcess(folder);
  return {
    adminUrl: database.url,
    stop: async () => {
      unguard();
      await database.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A run of tests that is killed would leave its PostgreSQL behind: a small process waits for that, and ends it. */
async function endWithThisProcess(folder: string): Promise<() => void> {
  if (process.platform === 'win32') {
    return () => undefined;
  }
  const [postmaster = ''] = (await readFile(join(folder, 'cluster', 'postmaster.pid'), 'utf8')).split('\n');
  // Its standard input ends with this process, however that ends.
  const script = 'cat >/dev/null; kill -INT "$0"; while kill -0 "$0" 2>/dev/null; do sleep 0.1; done; rm -rf "$1"';
  const guard = spawn('sh', ['-c', script, postmaster, folder], {
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
  // The system may give the same one again before it is used.
  if (givenPorts.has(address.port)) return freePort();
  givenPorts.add(address.port);
  return address.port;
}

const givenPorts = new Set<number>();
