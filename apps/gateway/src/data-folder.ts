import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import lockfile from 'proper-lockfile';

/** A lock nobody has touched for this long belongs to a process that is gone. */
const staleAfterMs = 10_000;

/** The one folder that holds all state of an installation, held by one process at a time. */
export class DataFolder {
  private constructor(
    readonly path: string,
    private readonly release: () => Promise<void>,
  ) {}

  /**
   * Takes the folder, made where it is missing.
   * @throws Mqtt2goError `data_folder_locked` while another process has it; `configuration_invalid` if it cannot be written
   */
  static async open(folder: string, onLost: (error: Error) => void): Promise<DataFolder> {
    const path = resolve(folder);
    try {
      await makeFolder(path);
      await chmod(path, 0o700);
    } catch (cause) {
      throw new Mqtt2goError('configuration_invalid', `MQTT2GO_DATA_DIR: ${path} cannot be written.`, { cause });
    }
    const holder = join(path, 'lock.pid');
    const options = { lockfilePath: join(path, 'lock'), stale: staleAfterMs, update: 2_000, onCompromised: onLost };
    const lock = async (): Promise<() => Promise<void>> => lockfile.lock(path, options);
    const release = await lock().catch(async (error: unknown) => {
      if (!isLocked(error)) throw error;
      const pid = await readFile(holder, 'utf8').then(Number, () => Number.NaN);
      // A killed process leaves its lock behind; waiting for it to go stale would cost ten seconds.
      if (isGone(pid)) {
        await rm(options.lockfilePath, { recursive: true, force: true });
        return lock().catch(() => refuse(path, pid));
      }
      return refuse(path, pid);
    });
    await writeFile(holder, String(process.pid));
    return new DataFolder(path, release);
  }

  join(...names: string[]): string {
    return join(this.path, ...names);
  }

  async close(): Promise<void> {
    await this.release();
  }
}

/** `mkdir` with `recursive` never ends where a folder that is there takes no new ones, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  const make = (): Promise<void> => mkdir(path, { mode: 0o700 });
  await make()
    .catch(async (error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error;
      await makeFolder(dirname(path));
      await make();
    })
    .catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
}

function refuse(path: string, pid: number): never {
  const who = Number.isNaN(pid) ? 'another process' : `process ${pid}`;
  throw new Mqtt2goError(
    'data_folder_locked',
    `${path} is in use by ${who}. Stop it, or give this one a folder of its own with MQTT2GO_DATA_DIR.`,
  );
}

function isLocked(error: unknown): boolean {
  return hasCode(error, 'ELOCKED');
}

/** True when no such process runs. Our own number is a predecessor's: in a container each start has the same. */
function isGone(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return hasCode(error, 'ESRCH');
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
