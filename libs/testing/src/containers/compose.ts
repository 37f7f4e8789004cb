import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { z } from 'zod';
import { COMPOSE_PREFIX } from './cleaning.js';
import { injectedImages } from './images.js';

const inspected = z.object({
  Config: z.object({ User: z.string(), Labels: z.record(z.string(), z.string()) }),
  State: z.object({
    Status: z.string(),
    ExitCode: z.int(),
    Health: z.object({ Status: z.string() }).optional(),
  }),
  HostConfig: z.object({
    ReadonlyRootfs: z.boolean(),
    CapDrop: z.array(z.string()).nullable(),
    SecurityOpt: z.array(z.string()).nullable(),
    PortBindings: z.record(z.string(), z.array(z.object({ HostIp: z.string(), HostPort: z.string() })).nullable()),
  }),
  NetworkSettings: z.object({ Networks: z.record(z.string(), z.unknown()) }),
  Mounts: z.array(z.object({ Name: z.string().optional(), Destination: z.string(), RW: z.boolean() })),
});
export type InspectedContainer = z.infer<typeof inspected>;

/** A Compose file of docker/, under a project name of its own. */
export class ComposeProject {
  readonly name = `${COMPOSE_PREFIX}${inject('systemRun')}-${randomBytes(3).toString('hex')}`;

  /** @param env what the file's variables are set to; the images of this run besides */
  constructor(
    private readonly file: string,
    private readonly env: Readonly<Record<string, string>> = {},
  ) {}

  /** Starts it, and waits until all that has a health check is healthy. */
  async up(): Promise<void> {
    await this.run('up', '--detach', '--wait', '--wait-timeout', '180').catch(async (cause: unknown) => {
      throw new Error(`${this.file} did not come up:\n${(await this.logs()).slice(-8_000)}`, { cause });
    });
  }

  /** Runs a command in a new container of a service, and gives what it says. */
  runOnce(service: string, ...command: readonly string[]): Promise<string> {
    return this.run('run', '--rm', '--no-deps', '-T', service, ...command);
  }

  logs(): Promise<string> {
    return this.run('logs', '--no-color', '--tail', '40');
  }

  /** Its containers by their services. */
  async containers(): Promise<Record<string, InspectedContainer>> {
    const ids = (await this.run('ps', '--all', '--quiet')).split('\n').filter((id) => id !== '');
    const { stdout } = await promisify(execFile)('docker', ['inspect', ...ids], { maxBuffer: 16 * 1024 * 1024 });
    const containers = z.array(inspected).parse(JSON.parse(stdout));
    return Object.fromEntries(containers.map((one) => [one.Config.Labels['com.docker.compose.service'], one]));
  }

  /** Copies what is in a container, running or not, to a folder here. */
  async copyFrom(service: string, path: string, to: string): Promise<void> {
    await this.run('cp', `${service}:${path}`, to);
  }

  async remove(): Promise<void> {
    await this.run('down', '--volumes', '--timeout', '5');
  }

  async run(...args: readonly string[]): Promise<string> {
    const { mosquitto, postgres } = injectedImages().bases;
    const file = fileURLToPath(new URL(`../../../../docker/${this.file}`, import.meta.url));
    const { stdout } = await promisify(execFile)(
      'docker',
      ['compose', '--progress', 'quiet', '--project-name', this.name, '--file', file, ...args],
      {
        env: { ...process.env, MQTT2GO_MOSQUITTO_IMAGE: mosquitto, MQTT2GO_POSTGRES_IMAGE: postgres, ...this.env },
        maxBuffer: 16 * 1024 * 1024,
      },
    );
    return stdout;
  }
}

/** True if there is `docker compose`; an engine may be there without it. */
export async function hasCompose(): Promise<boolean> {
  return promisify(execFile)('docker', ['compose', 'version']).then(
    () => true,
    () => false,
  );
}
