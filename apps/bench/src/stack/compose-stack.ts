import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'undici';
import { z } from 'zod';
import { dist } from '../gateway-process.js';
import { type FleetReport, fleetReport } from '../embedded.js';

const run = promisify(execFile);
const project = 'mqtt2go-bench';
const docker = join(dirname(dist), 'docker');
/** Not the ports of a platform that may be running here. */
const ports = {
  MQTT2GO_HOME_PORT: '18883',
  MQTT2GO_HOME_WSS_PORT: '18884',
  MQTT2GO_HOME_CONTROLLERS_PORT: '18889',
  MQTT2GO_ACTIVATION_PORT: '18885',
  MQTT2GO_BUS_PORT: '18886',
  MQTT2GO_FEDERATION_PORT: '18890',
};
/** What is measured: the platform without its simulators. */
const parts = [
  'provisioning',
  'certificate-authority',
  'topic-generator',
  'discovery',
  'federation',
  'home-0',
  'activation',
  'bus',
  'postgres',
] as const;
export type Part = (typeof parts)[number];

const stats = z.object({
  cpu_stats: z.object({ cpu_usage: z.object({ total_usage: z.number() }) }),
  memory_stats: z.object({ usage: z.number(), stats: z.record(z.string(), z.number()) }),
});

export interface PartUse {
  readonly cpuMs: number;
  /** MB (10^6 bytes), without the page cache. */
  readonly memoryMb: number;
}

/** docker/compose.remote-broker.yaml with real Mosquitto and PostgreSQL, and the command line's container as the load. */
export class ComposeStack {
  private readonly engine = new Client('http://localhost', { socketPath: '/var/run/docker.sock' });

  /** @param envFile says which base images to use */
  static async start(envFile = join(docker, 'offline', 'images.env')): Promise<ComposeStack> {
    const stack = new ComposeStack(envFile);
    await stack.remove();
    await stack.compose('up', '--detach', '--wait', '--quiet-pull');
    return stack;
  }

  private constructor(private readonly envFile: string) {}

  /** Simulators of devices and controllers in a container of their own, on the same machine. */
  async fleet(devices: number, concurrency: number, keyMode = 'existing-key'): Promise<FleetReport> {
    const text = await this.compose(
      ...['run', '--rm', '--quiet-pull', 'cli', '--json', 'device', 'fleet', String(devices)],
      ...['--concurrency', String(concurrency), '--homes', String(concurrency), '--key-mode', keyMode],
    );
    const report = fleetReport.parse(JSON.parse(text.slice(text.indexOf('{'))));
    if (report.added !== devices) throw new Error(`only ${report.added} of ${devices} devices were added: ${text}`);
    return report;
  }

  async use(): Promise<Record<string, PartUse>> {
    const entries = await Promise.all(parts.map(async (part) => [part, await this.useOf(part)] as const));
    return Object.fromEntries(entries);
  }

  async sql(statements: string): Promise<void> {
    const child = run(
      'docker',
      [
        ...['compose', '--project-name', project, '--file', join(docker, 'compose.remote-broker.yaml')],
        ...['exec', '--no-TTY', 'postgres', 'psql', '--username=postgres', '--dbname=mqtt2go', '--quiet'],
        ...['--set=ON_ERROR_STOP=1', '--file=-'],
      ],
      { env: this.env, maxBuffer: 64 * 1024 * 1024 },
    );
    child.child.stdin?.end(statements);
    await child;
  }

  async restart(part: Part): Promise<void> {
    await this.compose('restart', part);
    await this.compose('up', '--detach', '--wait', '--no-recreate');
  }

  /** Removes containers and volumes, also those of a run that was cut off. */
  async remove(): Promise<void> {
    await this.compose('--profile', 'cli', 'down', '--volumes', '--remove-orphans', '--timeout', '5');
  }

  async close(): Promise<void> {
    await this.engine.close();
    await this.remove();
  }

  private get env(): NodeJS.ProcessEnv {
    return { ...process.env, ...ports };
  }

  private async compose(...args: string[]): Promise<string> {
    const images = existsSync(this.envFile) ? ['--env-file', this.envFile] : [];
    const file = join(docker, 'compose.remote-broker.yaml');
    const { stdout } = await run('docker', ['compose', '--project-name', project, ...images, '--file', file, ...args], {
      env: this.env,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  }

  private async useOf(part: Part): Promise<PartUse> {
    const path = `/containers/${project}-${part}-1/stats?stream=0&one-shot=1`;
    const { body } = await this.engine.request({ path, method: 'GET' });
    const { cpu_stats: cpu, memory_stats: memory } = stats.parse(await body.json());
    const cache = memory.stats.total_inactive_file ?? memory.stats.inactive_file ?? 0;
    return { cpuMs: cpu.cpu_usage.total_usage / 1e6, memoryMb: (memory.usage - cache) / 1e6 };
  }
}
