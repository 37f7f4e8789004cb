import { readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';

/** The TCP port of a server that runs in this cluster. A number that a power cut left behind is not taken for one. */
export async function runningPort(cluster: string): Promise<number | undefined> {
  const [pid, , , text] = await lockLines(join(cluster, 'postmaster.pid'));
  const port = Number(text);
  if (!Number.isInteger(port) || port <= 0 || !(await isPostgres(Number(pid)))) return undefined;
  // One that was just killed may still be on its way out.
  return (await listens(port)) ? port : undefined;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}

/**
 * Removes the lock files of a server that does not run. PostgreSQL does that too, unless another process has its number
 * meanwhile, which after a restart of a small machine is likely.
 */
export async function clearStaleLocks(cluster: string): Promise<void> {
  const folder = dirname(cluster);
  const sockets = (await readdir(folder)).filter((name) => /^\.s\.PGSQL\.\d+\.lock$/.test(name));
  for (const path of [join(cluster, 'postmaster.pid'), ...sockets.map((name) => join(folder, name))]) {
    const [pid] = await lockLines(path);
    if (pid === undefined || (await isPostgres(Number(pid)))) continue;
    await rm(path, { force: true });
    if (path.endsWith('.lock')) await rm(path.slice(0, -'.lock'.length), { force: true });
  }
}

/** As in PostgreSQL's src/include/utils/pidfile.h: number, folder, time of the start, port, ... None if there is no file. */
async function lockLines(path: string): Promise<string[]> {
  return readFile(path, 'utf8').then(
    (text) => text.split('\n').map((line) => line.trim()),
    () => [],
  );
}

/** Whether the process runs and is a PostgreSQL, as far as the system tells; where it does not, one that runs is taken for it. */
async function isPostgres(pid: number): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  if (process.platform !== 'linux') return true;
  const [, name, state] = /^\d+ \((.*)\) (\S)/.exec(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')) ?? [];
  // A zombie has ended; nobody has asked how.
  return name === 'postgres' && state !== 'Z';
}
