import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { StatefulBrokerAdvertiser } from '@mqtt2go/ports';
import { Collector, HouseNetwork, type HouseMachine, waitFor } from '@mqtt2go/testing';
import { rolldown } from 'rolldown';
import { z } from 'zod';

const addresses = z.array(z.string());
const state = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('off'), reason: z.string() }),
  z.object({ kind: z.literal('claiming') }),
  z.object({ kind: z.literal('advertised'), rivals: addresses }),
  z.object({ kind: z.literal('name-taken'), holders: addresses }),
]);
/** What a machine's program tells. */
const line = z.object({
  ready: z.string().optional(),
  state: state.optional(),
  warned: z.string().optional(),
  details: z.object({ code: z.string().optional() }).optional(),
  /** An order. */
  done: z.string().optional(),
  heard: z.base64().optional(),
  from: z.string().optional(),
  ms: z.number().optional(),
  found: z.object({ host: z.string(), port: z.number() }).optional(),
  several: z.array(z.object({ port: z.number(), addresses })).optional(),
  code: z.string().optional(),
  addresses: z.array(z.object({ address: z.string(), family: z.number() })).optional(),
});
type Line = z.output<typeof line>;

/** A program on a machine, and what it tells. */
export class MachineProgram {
  readonly told = new Collector<Line>();
  readonly #listeners = new Set<(said: Line) => void>();
  readonly #child: ReturnType<HouseMachine['spawn']>;
  readonly ended: Promise<number | null>;

  constructor(
    readonly machine: HouseMachine,
    program: string,
    args: readonly string[],
  ) {
    this.#child = machine.spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.ended = new Promise((resolve) => {
      this.#child.once('close', resolve);
    });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('unreachable: it has a pipe');
    createInterface(stdout).on('line', (text) => {
      const said = line.parse(JSON.parse(text));
      this.told.add(said);
      for (const listener of this.#listeners) listener(said);
    });
  }

  onLine(listener: (said: Line) => void): void {
    this.#listeners.add(listener);
  }

  /** Gives an order, and waits until it is done. */
  async order(order: string, more: object = {}): Promise<Line> {
    const from = this.told.items.length;
    this.#child.stdin?.write(`${JSON.stringify({ order, ...more })}\n`);
    return waitFor(
      () => this.told.items.slice(from).find(({ done }) => done === order),
      `${order} on ${this.machine.address}`,
      20_000,
    );
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    await this.ended;
  }
}

/** A gateway in another process, on a machine of its own. */
export class RemoteAdvertiser extends StatefulBrokerAdvertiser {
  constructor(readonly program: MachineProgram) {
    super();
    program.onLine((said) => {
      if (said.state !== undefined) this.become(said.state);
    });
  }

  get machine(): HouseMachine {
    return this.program.machine;
  }

  override async start(port: number): Promise<void> {
    await this.program.order('start', { port });
  }

  override async stop(): Promise<void> {
    await this.program.order('stop');
  }
}

/** A house with gateways and a device that looks for them. */
export class MdnsHouse {
  static #programs: Promise<string> | undefined;

  static async open(): Promise<MdnsHouse> {
    MdnsHouse.#programs ??= bundle();
    return new MdnsHouse(await HouseNetwork.open(), await MdnsHouse.#programs);
  }

  static async removePrograms(): Promise<void> {
    const folder = await MdnsHouse.#programs;
    MdnsHouse.#programs = undefined;
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }

  #device: MachineProgram | undefined;

  private constructor(
    readonly network: HouseNetwork,
    private readonly programs: string,
  ) {}

  async gateway(options: object = {}, machine?: HouseMachine): Promise<RemoteAdvertiser> {
    const on = machine ?? (await this.network.machine());
    const given = JSON.stringify({ retryMs: 3_000, ...options });
    return new RemoteAdvertiser(await this.#run(on, 'machine-program', 'gateway', given));
  }

  async device(options: object = {}, machine?: HouseMachine): Promise<MachineProgram> {
    const on = machine ?? (await this.network.machine());
    return this.#run(on, 'machine-program', 'device', JSON.stringify({ timeoutMs: 1_000, ...options }));
  }

  async stranger(): Promise<MachineProgram> {
    const on = await this.network.machine();
    return this.#run(on, 'stranger-program', on.address);
  }

  async #run(machine: HouseMachine, name: string, ...args: string[]): Promise<MachineProgram> {
    const program = new MachineProgram(machine, join(this.programs, `${name}.mjs`), args);
    await program.told.first(1);
    return program;
  }

  /** By the house's own device. */
  async find(): Promise<Line> {
    this.#device ??= await this.device();
    return this.#device.order('find');
  }

  async lookup(name: string, family?: number): Promise<Line> {
    this.#device ??= await this.device();
    return this.#device.order('lookup', { name, family });
  }

  close(): Promise<void> {
    return this.network.close();
  }
}

/** @returns the folder with the programs */
async function bundle(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-mdns-'));
  const source = (name: string): string => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const build = await rolldown({
    input: {
      'machine-program': source('machine-program'),
      'stranger-program': source('stranger-program'),
    },
    platform: 'node',
    resolve: { conditionNames: ['@mqtt2go/source', 'node', 'default'] },
    logLevel: 'silent',
  });
  await build.write({ dir: folder, format: 'esm', entryFileNames: '[name].mjs' });
  await build.close();
  return folder;
}
