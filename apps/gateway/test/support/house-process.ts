import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type PlatformFile, platformFile } from '@mqtt2go/config';
import { rolldown } from 'rolldown';
import { bundleOptions } from '../../../../tools/build.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', '..', '..', '..', 'dist');

/** A gateway as a process that can be killed. */
export class HouseProcess {
  private child: ChildProcess | undefined;

  private constructor(
    private readonly folder: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  static async build(env: Readonly<Record<string, string>>): Promise<HouseProcess> {
    const folder = await mkdtemp(join(dist, 'house-'));
    const { output, ...input } = bundleOptions({ house: join(here, 'house-program.ts') }, folder, false);
    const bundle = await rolldown(input);
    await bundle.write(output);
    await bundle.close();
    return new HouseProcess(folder, env);
  }

  /**
   * Resolves when it is ready.
   * @param stopAt the state of a move in which it kills itself
   */
  async start(stopAt?: string): Promise<PlatformFile> {
    const child = spawn(process.execPath, [join(this.folder, 'house.mjs')], {
      env: { PATH: process.env.PATH, ...this.env, ...(stopAt !== undefined && { STOP_AT: stopAt }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const said: unknown = line.startsWith('{') ? JSON.parse(line) : undefined;
      const file = platformFile.safeParse(said);
      if (file.success) return file.data;
    }
    throw new Error('the gateway ended before it was ready');
  }

  /** Resolves with the signal that it was killed by, once it has ended. */
  async ended(): Promise<NodeJS.Signals | null> {
    const { child } = this;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child?.signalCode ?? null;
  }

  /** As a power cut does. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
