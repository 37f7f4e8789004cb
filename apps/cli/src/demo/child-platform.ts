import { anyPorts, readPlatformFile } from '@mqtt2go/config';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 15_000;
const pollMs = 50;
/** A platform of its own, in a temporary data folder on free ports, that goes when it is not needed any more. */
export class ChildPlatform {
  private constructor(
    readonly dataDir: string,
    readonly child: ChildProcess,
    readonly exited: Promise<void>,
  ) {}

  /** @throws Mqtt2goError `unavailable` with what the gateway said when it did not become ready */
  static async start(env: Readonly<Record<string, string | undefined>>, signal: AbortSignal): Promise<ChildPlatform> {
    const program = gatewayProgram();
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-demo-'));
    const dataDir = join(folder, 'data');
    const child = spawn(process.execPath, [program], {
      cwd: folder,
      // Settings of the caller that would lead it elsewhere are not passed on.
      env: {
        ...Object.fromEntries(Object.entries(env).filter(([name]) => !/^(MQTT2GO_|DATABASE_URL$)/.test(name))),
        ...anyPorts,
        MQTT2GO_DATA_DIR: dataDir,
        MQTT2GO_LOG_FORMAT: 'json',
        MQTT2GO_LOG_LEVEL: 'warn',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    const hear = (chunk: unknown): void => {
      said = (said + String(chunk)).slice(-8_192);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    const exited = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    });
    const platform = new ChildPlatform(dataDir, child, exited);
    try {
      await platform.#ready(signal);
      return platform;
    } catch (error) {
      await platform.stop();
      if (signal.aborted) throw error;
      const last = said.trim().split('\n').at(-1) ?? '';
      throw new Mqtt2goError('unavailable', `The gateway did not become ready${last === '' ? '.' : `: ${last}`}`, {
        cause: error,
      });
    }
  }

  async #ready(signal: AbortSignal): Promise<void> {
    const giveUpAt = performance.now() + readyTimeoutMs;
    let running = true;
    void this.exited.then(() => {
      running = false;
    });
    // The file is written when everything is up.
    while ((await readPlatformFile(this.dataDir)) === undefined) {
      signal.throwIfAborted();
      if (!running) throw new Mqtt2goError('unavailable', 'The gateway ended.');
      if (performance.now() > giveUpAt) throw new Mqtt2goError('timeout', 'The gateway did not become ready in time.');
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** Ends the gateway and removes its data. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      const forced = setTimeout(() => this.child.kill('SIGKILL'), stopTimeoutMs);
      await this.exited;
      clearTimeout(forced);
    }
    await rm(dirname(this.dataDir), { recursive: true, force: true, maxRetries: 3 });
  }
}

/** dist/gateway.mjs, from wherever in the project this program runs. */
function gatewayProgram(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const program = join(folder, 'dist', 'gateway.mjs');
    if (existsSync(program)) return program;
    const above = dirname(folder);
    if (above === folder) {
      throw new Mqtt2goError('unavailable', 'The gateway has not been built: npm run build makes it.');
    }
    folder = above;
  }
}
