import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { within } from '@mqtt2go/testing';

const dist = resolve(import.meta.dirname, '../../../../dist');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One of the programs in dist/, as a process of its own; what it says is kept. */
export class Program {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly ended: Promise<Ended>;
  private readonly listeners = new Set<(line: string) => void>();

  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
  ) {
    const lines = (stream: NodeJS.ReadableStream | null, kept: string[]): Promise<unknown> => {
      if (stream === null) throw new Error('unreachable: both are pipes');
      const reader = createInterface({ input: stream });
      reader.on('line', (line) => {
        kept.push(line);
        for (const listener of this.listeners) listener(line);
      });
      return once(reader, 'close');
    };
    const all = [once(child, 'exit'), lines(child.stdout, this.out), lines(child.stderr, this.err)] as const;
    this.ended = Promise.all(all).then(([[code, signal]]) => ({ code, signal }));
  }

  /** Nothing of the tests' own environment comes along. */
  static start(name: string, env: Record<string, string>, envFile?: string, args: readonly string[] = []): Program {
    const flags = envFile === undefined ? [] : [`--env-file=${envFile}`];
    const child = spawn(process.execPath, [...flags, join(dist, `${name}.mjs`), ...args], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Program(name, child);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get runs(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The first line, of those said already or from now on, that `matches`. Rejects when the program ends before. */
  async says(matches: (line: string) => boolean, timeoutMs = 60_000): Promise<string> {
    const said = [...this.out, ...this.err].find(matches);
    if (said !== undefined) return said;
    let listener: (line: string) => void = () => undefined;
    const line = new Promise<string>((found) => {
      listener = (heard) => {
        if (matches(heard)) found(heard);
      };
      this.listeners.add(listener);
    });
    const ended = this.ended.then(({ code, signal }) => {
      throw new Error(`${this.name} ended with ${signal ?? code}: ${this.text}`);
    });
    try {
      return await within(Promise.race([line, ended]), `what ${this.name} was to say`, timeoutMs);
    } finally {
      this.listeners.delete(listener);
    }
  }

  /** The log's lines; what is not JSON is left out. */
  get log(): Record<string, unknown>[] {
    return this.out.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  }

  get text(): string {
    return [...this.out, ...this.err].join('\n');
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    if (this.runs) this.child.kill(signal);
    return within(this.ended, `the end of ${this.name}`, 30_000);
  }
}

/** The process id of the embedded database of a data folder, while it has one. */
export async function databasePid(dataDir: string): Promise<number | undefined> {
  const [pid] = await readFile(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'), 'utf8').then(
    (text) => text.split('\n'),
    () => [],
  );
  return pid !== undefined && isAlive(Number(pid)) ? Number(pid) : undefined;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
