import { type ChildProcess, execFile, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

const run = promisify(execFile);
const prefix = 'm2g';

async function ip(...args: string[]): Promise<string> {
  const { stdout } = await run('ip', args);
  return stdout;
}

/**
 * A network like that of a house: machines, each in a network namespace of its own, at one switch. Needs Linux and root;
 * nothing of it is seen by the machine that it runs on.
 */
export class HouseNetwork {
  static #made = 0;
  readonly #name: string;
  readonly #machines: HouseMachine[] = [];

  static async open(): Promise<HouseNetwork> {
    await removeLeftOvers();
    HouseNetwork.#made += 1;
    const house = new HouseNetwork(`${prefix}-${process.pid}-${HouseNetwork.#made}`);
    await ip('netns', 'add', house.#name);
    await ip('-n', house.#name, 'link', 'add', 'switch', 'type', 'bridge', 'mcast_snooping', '0');
    await ip('-n', house.#name, 'link', 'set', 'switch', 'up');
    return house;
  }

  private constructor(name: string) {
    this.#name = name;
  }

  /** One more machine, with `eth0` up at 10.77.0.<number>/24 and a link-local IPv6 address. */
  async machine({ ipv4 = true }: { ipv4?: boolean } = {}): Promise<HouseMachine> {
    const number = this.#machines.length + 1;
    const machine = new HouseMachine(`${this.#name}-${number}`, `10.77.0.${number}`);
    this.#machines.push(machine);
    await ip('netns', 'add', machine.namespace);
    // No waiting for others with the same IPv6 address.
    await machine.run('sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
    const port = `port${number}`;
    await ip('-n', machine.namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', port, 'netns', this.#name);
    await ip('-n', this.#name, 'link', 'set', port, 'master', 'switch', 'up');
    await ip('-n', machine.namespace, 'link', 'set', 'lo', 'up');
    if (ipv4) await machine.addAddress(`${machine.address}/24`);
    await machine.link('up');
    return machine;
  }

  /** Takes a machine's cable out of the switch, or puts it back. The machine does not notice. */
  async plug(machine: HouseMachine, isIn: boolean): Promise<void> {
    const port = `port${this.#machines.indexOf(machine) + 1}`;
    await ip('-n', this.#name, 'link', 'set', port, ...(isIn ? ['master', 'switch'] : ['nomaster']));
  }

  async close(): Promise<void> {
    await Promise.all(this.#machines.map((machine) => machine.end()));
    for (const { namespace } of this.#machines.splice(0)) await ip('netns', 'del', namespace);
    await ip('netns', 'del', this.#name);
  }
}

/** A machine in a {@link HouseNetwork}. */
export class HouseMachine {
  readonly #children = new Set<ChildProcess>();

  constructor(
    readonly namespace: string,
    /** IPv4 */
    readonly address: string,
  ) {}

  /** Runs to the end. @returns what it wrote */
  async run(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await run('ip', ['netns', 'exec', this.namespace, command, ...args], { timeout: 20_000 });
    return stdout;
  }

  /** Runs until it ends or the network is closed. */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    // ip becomes the command.
    const child = spawn('ip', ['netns', 'exec', this.namespace, command, ...args], options);
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  async link(state: 'up' | 'down'): Promise<void> {
    await ip('-n', this.namespace, 'link', 'set', 'eth0', state);
  }

  /** @param address with the length of its prefix */
  async addAddress(address: string): Promise<void> {
    await ip('-n', this.namespace, 'address', 'add', address, 'dev', 'eth0');
  }

  async removeAddress(address: string): Promise<void> {
    await ip('-n', this.namespace, 'address', 'del', address, 'dev', 'eth0');
  }

  async end(): Promise<void> {
    await Promise.all(
      [...this.#children].map(async (child) => {
        const closed = once(child, 'close');
        child.kill('SIGKILL');
        await closed;
      }),
    );
  }
}

/** Of runs that were killed. */
async function removeLeftOvers(): Promise<void> {
  const names = (await ip('netns', 'list')).split('\n').map((line) => line.split(' ')[0] ?? '');
  for (const name of names) {
    const pid = new RegExp(`^${prefix}-(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await ip('netns', 'del', name);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
