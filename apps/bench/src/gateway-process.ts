import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { anyPorts, type PlatformFile, readPlatformFile } from '@mqtt2go/config';

/** The folder of the programs. */
export const dist = dirname(process.argv[1] ?? '');

/** `npm start` without npm: the gateway's bundle as a process of its own, on free ports. */
export class GatewayProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly file: PlatformFile,
    /** From the start of the process until everything answers. */
    readonly readyMs: number,
  ) {}

  /** @param env further variables */
  static async start(dataDir: string, env: Readonly<Record<string, string>> = {}): Promise<GatewayProcess> {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [join(dist, 'gateway.mjs')], {
      env: {
        ...process.env,
        ...anyPorts,
        MQTT2GO_DATA_DIR: dataDir,
        MQTT2GO_LOG_FORMAT: 'json',
        MQTT2GO_LOG_LEVEL: 'info',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let readyMs = 0;
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}`)));
      child.stdout?.on('data', (chunk: Buffer) => {
        if (readyMs > 0 || !chunk.includes('"msg":"ready"')) return;
        readyMs = performance.now() - startedAt;
        resolve();
      });
    });
    const file = await readPlatformFile(dataDir);
    if (file === undefined) throw new Error('the gateway wrote no platform file');
    return new GatewayProcess(child, file, readyMs);
  }

  /** Memory of the gateway and of its database. Linux only. */
  async memory(dataDir: string): Promise<MemoryUse> {
    const gateway = await memoryOf(this.pid);
    const database = await Promise.all((await databasePids(dataDir)).map(memoryOf));
    const sum = (of: 'pssMb' | 'rssMb'): number => database.reduce((total, use) => total + use[of], 0);
    return {
      gatewayMb: gateway.rssMb,
      gatewayFilesMb: gateway.rssMb - gateway.anonymousMb,
      databaseMb: sum('pssMb'),
      rssMb: gateway.rssMb + sum('rssMb'),
    };
  }

  /** User and system time of the gateway and its database while `work` runs, in seconds. Linux only. */
  async cpuSecondsDuring(dataDir: string, work: Promise<unknown>): Promise<number> {
    const before = await this.allCpuSeconds(dataDir);
    await work;
    return (await this.allCpuSeconds(dataDir)) - before;
  }

  /** User and system time of the gateway so far, in seconds. */
  async cpuSeconds(): Promise<number> {
    return cpuSecondsOf(this.pid);
  }

  private async allCpuSeconds(dataDir: string): Promise<number> {
    const [postmaster, ...connections] = await databasePids(dataDir);
    const each = [cpuSecondsOf(this.pid), ...connections.map((pid) => cpuSecondsOf(pid))];
    // What connections used that have ended is added to the postmaster's children's.
    if (postmaster !== undefined) each.push(cpuSecondsOf(postmaster, true));
    return (await Promise.all(each)).reduce((sum, seconds) => sum + seconds, 0);
  }

  private get pid(): number {
    return this.child.pid ?? 0;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}

/** MB are 10^6 bytes. */
export interface MemoryUse {
  /** Resident, all of it: that the bench's own process shares Node.js with it does not make it smaller. */
  readonly gatewayMb: number;
  /** The part of it that is in files, and which the kernel can drop: mostly Node.js. */
  readonly gatewayFilesMb: number;
  /** PostgreSQL's processes; what they share is counted once (PSS). */
  readonly databaseMb: number;
  /** All of it, what PostgreSQL's processes share counted in each of them. */
  readonly rssMb: number;
}

async function memoryOf(pid: number): Promise<{ pssMb: number; rssMb: number; anonymousMb: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const field = (name: string): number =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024) / 1e6;
  return { pssMb: field('Pss'), rssMb: field('Rss'), anonymousMb: field('Anonymous') };
}

/** @param withEnded with that of children that have ended */
async function cpuSecondsOf(pid: number, withEnded = false): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // utime, stime, cutime, cstime (proc_pid_stat(5)), in hundredths of a second.
  const times =
    text
      .split(') ')[1]
      ?.split(' ')
      .slice(11, withEnded ? 15 : 13) ?? [];
  return times.reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

/** The processes of a data folder's own PostgreSQL. */
async function databasePids(dataDir: string): Promise<number[]> {
  const text = await readFile(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'), 'utf8').catch(() => '');
  const postmaster = Number(text.split('\n')[0]);
  return postmaster > 0 ? [postmaster, ...(await childrenOf(postmaster))] : [];
}

async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  return pids.filter((_pid, index) => Number(stats[index]?.split(') ')[1]?.split(' ')[1]) === parent).map(Number);
}

/** The embedded database of a running gateway. */
export async function databaseUrlOf(dataDir: string): Promise<string> {
  const folder = join(dataDir, 'postgres');
  const password = (await readFile(join(folder, 'password'), 'utf8')).trim();
  const port = (await readFile(join(folder, 'cluster', 'postmaster.pid'), 'utf8')).split('\n')[3];
  return `postgres://mqtt2go:${password}@127.0.0.1:${port}/mqtt2go`;
}
