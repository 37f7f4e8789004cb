import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Collector, type HouseMachine, HouseNetwork, waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundleProgram } from './support/gateway-process.js';

const cli = resolve(import.meta.dirname, '../../../dist/cli.mjs');
let program: string;
let network: HouseNetwork;
let folder: string;
let gateways: HouseGateway[];

beforeAll(async () => {
  program = await bundleProgram('house-gateway', 'house-gateway.ts');
});
afterAll(() => rm(dirname(program), { recursive: true, force: true }));
beforeEach(async () => {
  network = await HouseNetwork.open();
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-house-'));
  gateways = [];
});
afterEach(async () => {
  // Their databases outlive a kill.
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await network.close();
  await rm(folder, { recursive: true, force: true });
});

/** The whole platform on a machine of the house. */
class HouseGateway {
  readonly lines = new Collector<string>();

  static async start(): Promise<HouseGateway> {
    const gateway = new HouseGateway(await network.machine());
    gateways.push(gateway);
    await waitFor(() => gateway.lines.items.includes('ready'), 'the gateway', 60_000);
    return gateway;
  }

  readonly env: NodeJS.ProcessEnv;
  readonly #child: ChildProcess;

  private constructor(readonly machine: HouseMachine) {
    this.env = {
      PATH: process.env.PATH,
      MQTT2GO_DATA_DIR: join(folder, `gateway-${machine.address}`),
      MQTT2GO_BIND: '0.0.0.0',
      MQTT2GO_PUBLIC_HOST: 'MQTT2GO.local',
    };
    this.#child = machine.spawn(process.execPath, [program], { env: this.env });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      if (stream !== null) createInterface(stream).on('line', (line) => this.lines.add(line));
  }

  /** What /health/ready says of the name, and how. */
  async health(): Promise<{ http: number; status: string; reason?: string }> {
    const script = `
      const response = await fetch('http://127.0.0.1:9090/health/ready');
      const { status, services } = await response.json();
      const { reason } = services.find(({ name }) => name === 'gateway').dependencies.find(({ name }) => name === 'MQTT2GO.local');
      console.log(JSON.stringify({ http: response.status, status, reason }));`;
    return JSON.parse(await this.machine.run(process.execPath, '--input-type=module', '-e', script));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'close');
  }
}

/** @returns the folder of a device that the gateway knows */
async function minted({ machine, env }: HouseGateway): Promise<string> {
  const lamp = join(folder, 'lamp');
  const mint = ['factory', 'mint', '--device-id', 'lamp-1', '--device-type', 'light', '--out', lamp];
  const minting = machine.spawn(process.execPath, [cli, ...mint], { env, stdio: 'ignore' });
  await once(minting, 'close');
  expect(minting.exitCode).toBe(0);
  return lamp;
}

/** A device on one more machine. @returns what it tells */
async function running(lamp: string, ...args: string[]): Promise<Collector<Record<string, unknown>>> {
  const machine = await network.machine();
  const device = machine.spawn(process.execPath, [cli, 'device', 'run', lamp, '--json', ...args], {
    env: { PATH: process.env.PATH, MQTT2GO_DATA_DIR: folder },
  });
  const told = new Collector<Record<string, unknown>>();
  if (device.stdout !== null) createInterface(device.stdout).on('line', (line) => told.add(JSON.parse(line)));
  return told;
}

describe('a gateway in the house', () => {
  it('is where a device goes first, under the name that its certificate has', async () => {
    const lamp = await minted(await HouseGateway.start());
    const told = await running(lamp);
    const found = await waitFor(() => told.items.find(({ step }) => step === 3), 'step 3', 20_000);
    expect(found).toMatchObject({ what: 'MQTT2GO.local is at MQTT2GO.local:8883' });
    // Its certificate is accepted: the device is let in, or refused by this server, and does not walk away by itself.
    const next = await waitFor(
      () => told.items.find(({ event, step }) => event === 'problem' || step === 5),
      'what follows',
      20_000,
    );
    expect([undefined, 'forbidden']).toContain(next['code']);
  });

  it('is looked for in vain for a second, or not at all', async () => {
    const gateway = await HouseGateway.start();
    const lamp = await minted(gateway);
    await gateway.stop();
    for (const [args, leastMs, mostMs] of [
      [[], 990, 10_000],
      [['--no-local'], 0, 990],
    ] as const) {
      const told = await running(lamp, ...args);
      const missing = await waitFor(() => told.items.find(({ step }) => step === 3), 'step 3', 20_000);
      expect(missing).toMatchObject({ what: 'MQTT2GO.local is not in the local network' });
      expect(missing['ms']).toBeGreaterThanOrEqual(leastMs);
      expect(missing['ms']).toBeLessThan(mostMs);
    }
  });

  it('tells of another one, goes on, and is found when the other ends', async () => {
    const first = await HouseGateway.start();
    await waitFor(async () => (await first.health()).status === 'up', 'the first is up', 20_000);
    const second = await HouseGateway.start();
    for (const [gateway, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const health = await waitFor(
        async () => {
          const { reason = '', ...said } = await gateway.health();
          return reason.includes(other.machine.address) && { ...said, reason };
        },
        'the other is told of',
        20_000,
      );
      expect(health).toMatchObject({ http: 200, status: 'degraded' });
      const warning = await waitFor(() => gateway.lines.items.find((line) => line.includes('gateway_name_taken')));
      expect(JSON.parse(warning)).toMatchObject({ code: 'gateway_name_taken', context: 'mdns' });
    }
    await first.stop();
    await waitFor(async () => (await second.health()).status === 'up', 'the second has the name', 20_000);
  });
});
