import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { PUBLIC_FILE_MODE, writeFileAtomically } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import lockfile from 'proper-lockfile';

/**
 * A lock nobody has touched for this long belongs to a process that is gone; for where processes cannot be told apart
 * ({@link identityOf}). Each touch is a write to the disk, which may be an SD card.
 */
const staleAfterMs = 10 * 60_000;
const touchEveryMs = staleAfterMs / 2;

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
    const options = {
      lockfilePath: join(path, 'lock'),
      stale: staleAfterMs,
      update: touchEveryMs,
      onCompromised: onLost,
    };
    const lock = async (): Promise<() => Promise<void>> => lockfile.lock(path, options);
    const release = await lock().catch(async (error: unknown) => {
      if (!isLocked(error)) throw error;
      const current = await whoHolds(holder);
      // A killed process leaves its lock behind, and a clock that was set back makes it young for ever.
      if (await isGone(current)) {
        await rm(options.lockfilePath, { recursive: true, force: true });
        return lock().catch(() => refuse(path, current.pid));
      }
      return refuse(path, current.pid);
    });
    const identity = (await identityOf(process.pid)) ?? '';
    await writeFileAtomically(holder, `${process.pid} ${identity}\n`, PUBLIC_FILE_MODE);
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

interface Holder {
  /** NaN for nobody: a power cut has emptied the file, or its process ended before it was written. */
  readonly pid: number;
  readonly identity: string | undefined;
}

/** Who has just taken the lock is about to say so. */
const sayingSoMs = 1_000;

async function whoHolds(file: string): Promise<Holder> {
  const read = async (): Promise<Holder> => {
    const [number, identity] = (await readFile(file, 'utf8').catch(() => '')).trim().split(' ');
    return { pid: /^[1-9]\d*$/.test(number ?? '') ? Number(number) : Number.NaN, identity };
  };
  const holder = await read();
  if (!Number.isNaN(holder.pid)) return holder;
  await setTimeout(sayingSoMs);
  return read();
}

/** True when no such process runs. Our own number is a predecessor's: in a container each start has the same. */
async function isGone({ pid, identity }: Holder): Promise<boolean> {
  if (Number.isNaN(pid) || pid === process.pid) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return true;
  }
  const present = await identityOf(pid);
  return identity !== undefined && present !== undefined && identity !== present;
}

/** Tells a process from all others that have had its number, those before the machine's last start included. Linux only. */
async function identityOf(pid: number): Promise<string | undefined> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const [, rest = ''] = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(/\) (?=\S )/);
    // proc_pid_stat(5), field 22: when it was started, counted from the machine's start.
    return `${boot}:${rest.split(' ')[19]}`;
  } catch {
    return undefined;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
