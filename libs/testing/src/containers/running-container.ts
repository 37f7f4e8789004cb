import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../database-cluster.js';
import { waitFor } from '../waiting.js';
import { engine, type TestNetwork, testLabels } from './networks.js';

export interface ContainerOptions {
  readonly image: string;
  /** The beginning of the container's name. */
  readonly name?: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly networks?: readonly TestNetwork[];
  /** How others in its networks call it. */
  readonly aliases?: readonly string[];
  readonly mounts?: readonly Mount[];
  /** Path to mount options, such as `size=64m,mode=1777`. */
  readonly tmpfs?: Readonly<Record<string, string>>;
  /** Ports of the container to publish on this machine; the same ones after each start. */
  readonly ports?: readonly (number | PublishedPort)[];
  readonly user?: string;
  /** Of the root file system; false unless set. */
  readonly readOnly?: boolean;
  /** When it counts as started: a line of its log, its health check, or (default) that it runs. */
  readonly ready?: RegExp | 'healthy';
  /** For `ready`; 60 s unless set. */
  readonly timeoutMs?: number;
}

/** A port that has to be known before the container is there. */
export interface PublishedPort {
  readonly inside: number;
  readonly host: number;
}

export interface Mount {
  /** An absolute path of this machine, or the name of a volume. */
  readonly source: string;
  readonly target: string;
  readonly readOnly?: boolean;
}

export interface ExecOutcome {
  readonly code: number;
  readonly output: string;
}

/** Starts a container. It goes with the run of tests, at the latest. */
export async function startContainer(options: ContainerOptions): Promise<RunningContainer> {
  const { LocalContainer } = await import('./local-container.js');
  const name = `${options.name ?? 'mqtt2go'}-${randomBytes(4).toString('hex')}`;
  const ports = new Map<number, number>();
  for (const port of options.ports ?? []) {
    if (typeof port === 'number') ports.set(port, await freePort());
    else ports.set(port.inside, port.host);
  }
  const container = new LocalContainer(options.image, {
    networks: (options.networks ?? []).map((network) => network.name),
    aliases: options.aliases ?? [],
    readOnly: options.readOnly ?? false,
  })
    .withName(name)
    .withLabels(testLabels())
    .withAutoCleanup(false)
    .withEnvironment({ ...options.env })
    .withTmpFs({ ...options.tmpfs })
    .withDroppedCapabilities('ALL')
    .withSecurityOpt('no-new-privileges')
    .withBindMounts(
      (options.mounts ?? []).map(({ source, target, readOnly }) => ({
        source,
        target,
        mode: readOnly === true ? 'ro' : 'rw',
      })),
    )
    .withExposedPorts(...[...ports].map(([inside, host]) => ({ container: inside, host })))
    .withWaitStrategy(await startedIsEnough());
  if (options.entrypoint !== undefined) container.withEntrypoint([...options.entrypoint]);
  if (options.command !== undefined) container.withCommand([...options.command]);
  if (options.user !== undefined) container.withUser(options.user);
  const started = await container.start();
  const running = new RunningContainer(started.getId(), name, ports, options.aliases ?? []);
  const { ready, timeoutMs } = options;
  try {
    if (ready === 'healthy') await running.waitHealthy(timeoutMs);
    else if (ready !== undefined) await running.waitForLog(ready, timeoutMs);
    return running;
  } catch (cause) {
    const log = await running.logs();
    await running.remove();
    throw new Error(`${name} (${options.image}) did not get ready:\n${log.slice(-4_000)}`, { cause });
  }
}

/** Whether it is ready is judged here: Testcontainers removes what did not get ready together with its log. */
async function startedIsEnough() {
  const { StartupCheckStrategy } = await import('testcontainers');
  return new (class Started extends StartupCheckStrategy {
    override async checkStartupState(): Promise<'SUCCESS'> {
      return 'SUCCESS';
    }
  })();
}

/** A container, and what may happen to it. */
export class RunningContainer {
  constructor(
    readonly id: string,
    readonly name: string,
    private readonly ports: ReadonlyMap<number, number>,
    private readonly aliases: readonly string[],
  ) {}

  /** The port of this machine (127.0.0.1) that leads to the container's. */
  port(inside: number): number {
    const port = this.ports.get(inside);
    if (port === undefined) throw new Error(`${this.name} does not publish port ${inside}`);
    return port;
  }

  async exec(command: readonly string[], options: { user?: string } = {}): Promise<ExecOutcome> {
    const { container } = await engine();
    const { exitCode, output } = await container.exec(container.getById(this.id), [...command], options);
    return { code: exitCode, output };
  }

  /** Freezes all of its processes; connections stay open and nobody answers. */
  async pause(): Promise<void> {
    await (await this.docker()).pause();
  }

  async unpause(): Promise<void> {
    await (await this.docker()).unpause();
  }

  /** Sends the signal to its first process; with SIGKILL, resolves when it is gone. */
  async kill(signal = 'SIGKILL'): Promise<void> {
    const docker = await this.docker();
    await docker.kill({ signal });
    if (signal === 'SIGKILL') await docker.wait();
  }

  /** SIGTERM, and SIGKILL after `timeoutS`. */
  async stop(timeoutS = 30): Promise<void> {
    await (await this.docker()).stop({ t: timeoutS });
  }

  /** Starts it again after {@link kill} or {@link stop}, with the same ports, mounts and networks. */
  async start(): Promise<void> {
    await (await this.docker()).start();
  }

  /** Cuts it off from a network; what goes through others, published ports too, stays. */
  async disconnect(network: TestNetwork): Promise<void> {
    const { dockerode } = (await engine()).container;
    await dockerode.getNetwork(network.name).disconnect({ Container: this.id, Force: true });
  }

  async connect(network: TestNetwork): Promise<void> {
    const { dockerode } = (await engine()).container;
    await dockerode
      .getNetwork(network.name)
      .connect({ Container: this.id, EndpointConfig: { Aliases: [...this.aliases] } });
  }

  /** Its IP address in a network that it is in. */
  async address(network: TestNetwork): Promise<string> {
    const { NetworkSettings } = await (await this.docker()).inspect();
    const address = NetworkSettings.Networks[network.name]?.IPAddress;
    if (address === undefined || address === '') throw new Error(`${this.name} is not in ${network.name}`);
    return address;
  }

  /** Gives it that part of one processor, from now on. */
  async limitProcessor(share: number): Promise<void> {
    await (await this.docker()).update({ CpuPeriod: 100_000, CpuQuota: Math.round(share * 100_000) });
  }

  /** Everything that it has written so far. */
  logs(): Promise<string> {
    return logsOf(this.id);
  }

  async waitForLog(pattern: RegExp, timeoutMs?: number): Promise<void> {
    const found = async (): Promise<boolean> => pattern.test(await this.logs());
    await this.until(found, `${pattern} in the log of ${this.name}`, timeoutMs);
  }

  async waitHealthy(timeoutMs?: number): Promise<void> {
    const isHealthy = async (): Promise<boolean> => (await this.state()).Health?.Status === 'healthy';
    await this.until(isHealthy, `${this.name} is healthy`, timeoutMs);
  }

  /** Resolves with its status when its first process has ended. */
  async ended(): Promise<number> {
    const { StatusCode }: { StatusCode: number } = await (await this.docker()).wait();
    return StatusCode;
  }

  /** Bytes that its processes hold, as the engine counts them. */
  async memory(): Promise<number> {
    const stats = await (await this.docker()).stats({ stream: false });
    return stats.memory_stats.usage - (stats.memory_stats.stats?.inactive_file ?? 0);
  }

  async remove(): Promise<void> {
    await (await this.docker()).remove({ force: true, v: true });
  }

  /** False when its first process has ended. */
  async isRunning(): Promise<boolean> {
    return (await this.state()).Running;
  }

  /** Asks now and then: each time costs milliseconds of a processor that the containers need. */
  private async until(probe: () => Promise<boolean>, what: string, timeoutMs = 60_000): Promise<void> {
    const slowly = async (): Promise<boolean> => {
      if (await probe()) return true;
      if (!(await this.isRunning())) throw new Error(`${this.name} has ended`);
      await delay(200);
      return false;
    };
    await waitFor(slowly, what, timeoutMs);
  }

  private async state() {
    return (await (await this.docker()).inspect()).State;
  }

  private async docker() {
    const { container } = await engine();
    return container.getById(this.id);
  }
}

async function logsOf(container: string): Promise<string> {
  const { dockerode } = (await engine()).container;
  const frames = await dockerode.getContainer(container).logs({ stdout: true, stderr: true, follow: false });
  return textOf(frames);
}

/** The engine sends both outputs as frames: a byte that tells which, three of nothing, four with the length. */
function textOf(frames: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= frames.length; ) {
    const end = at + 8 + frames.readUInt32BE(at + 4);
    parts.push(frames.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(parts).toString('utf8');
}
