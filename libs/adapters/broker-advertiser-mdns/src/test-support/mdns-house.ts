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
  static #program: Promise<{ file: string; folder: string }> | undefined;

  static async open(): Promise<MdnsHouse> {
    MdnsHouse.#program ??= bundle();
    return new MdnsHouse(await HouseNetwork.open(), (await MdnsHouse.#program).file);
  }

  static async removeProgram(): Promise<void> {
    const program = await MdnsHouse.#program;
    MdnsHouse.#program = undefined;
    if (program !== undefined) await rm(program.folder, { recursive: true, force: true });
  }

  #device: MachineProgram | undefined;

  private constructor(
    readonly network: HouseNetwork,
    readonly program: string,
  ) {}

  async gateway(options: object = {}, machine?: HouseMachine): Promise<RemoteAdvertiser> {
    const on = machine ?? (await this.network.machine());
    const program = new MachineProgram(on, this.program, ['gateway', JSON.stringify({ retryMs: 3_000, ...options })]);
    await program.told.first(1);
    return new RemoteAdvertiser(program);
  }

  async device(options: object = {}, machine?: HouseMachine): Promise<MachineProgram> {
    const on = machine ?? (await this.network.machine());
    const program = new MachineProgram(on, this.program, ['device', JSON.stringify({ timeoutMs: 1_000, ...options })]);
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

async function bundle(): Promise<{ file: string; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-mdns-'));
  const file = join(folder, 'machine.mjs');
  const build = await rolldown({
    input: fileURLToPath(new URL('./machine-program.ts', import.meta.url)),
    platform: 'node',
    resolve: { conditionNames: ['@mqtt2go/source', 'node', 'default'] },
    logLevel: 'silent',
  });
  await build.write({ file, format: 'esm' });
  await build.close();
  return { file, folder };
}
