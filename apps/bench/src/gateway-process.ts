import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type PlatformFile, readPlatformFile } from '@mqtt2go/config';

/** The folder of the programs. */
export const dist = dirname(process.argv[1] ?? '');

const freePorts = Object.fromEntries(
  ['HOME', 'HOME_WSS', 'ACTIVATION', 'DISCOVERY', 'HEALTH', 'BUS'].map((name) => [`MQTT2GO_${name}_PORT`, '0']),
);

/** `npm start` without npm: the gateway's bundle as a process of its own, on free ports. */
export class GatewayProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly file: PlatformFile,
    /** From the start of the process until everything answers. */
    readonly readyMs: number,
  ) {}

  static async start(dataDir: string): Promise<GatewayProcess> {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [join(dist, 'gateway.mjs')], {
      env: {
        ...process.env,
        ...freePorts,
        MQTT2GO_DATA_DIR: dataDir,
        MQTT2GO_LOG_FORMAT: 'json',
        MQTT2GO_LOG_LEVEL: 'info',
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

  /**
   * Resident memory in MB (10^6 bytes) of the gateway, and of it with its database; what processes share is counted
   * once (PSS). Linux only.
   */
  async memory(dataDir: string): Promise<{ gatewayMb: number; allMb: number }> {
    const gatewayMb = await proportionalMb(this.child.pid ?? 0);
    const postmaster = await readFile(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'), 'utf8').then(
      (text) => Number(text.split('\n')[0]),
      () => undefined,
    );
    if (postmaster === undefined) return { gatewayMb, allMb: gatewayMb };
    const pids = [postmaster, ...(await childrenOf(postmaster))];
    const database = await Promise.all(pids.map(proportionalMb));
    return { gatewayMb, allMb: gatewayMb + database.reduce((sum, mb) => sum + mb, 0) };
  }

  /** User and system time of the gateway so far, in seconds. */
  async cpuSeconds(): Promise<number> {
    const fields = (await readFile(`/proc/${this.child.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}

async function proportionalMb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return (Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024) / 1e6;
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
