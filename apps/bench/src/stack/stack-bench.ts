import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { databaseUrlOf, GatewayProcess } from '../gateway-process.js';
import { machineLimit } from '../machine-limit.js';
import { atLeast, atMost, type Row } from '../report.js';
import { ComposeStack, type PartUse } from './compose-stack.js';
import { registerDevices } from './registered-devices.js';

export interface StackBenchOptions {
  readonly seconds: number;
  readonly concurrency: number;
  /** How many devices are registered for the comparison with a thousand. */
  readonly registered: number;
}

/** Onboardings on real Mosquitto and PostgreSQL, each service in a container of its own, as compose starts them. */
export async function stackBench(options: StackBenchOptions, tell: (line: string) => void): Promise<Row[]> {
  const { seconds, concurrency, registered } = options;
  tell("the machine's own limit ...");
  const limit = await limitOf(concurrency);
  tell('containers ...');
  const stack = await ComposeStack.start();
  try {
    const idle = await stack.use();
    tell('warming up ...');
    await stack.fleet(concurrency * 8, concurrency);
    const { perSecond } = await stack.fleet(concurrency * 16, concurrency);
    const devices = Math.ceil(perSecond * seconds);
    tell(`adding ${devices} devices, ${concurrency} at once, for about ${seconds} s ...`);
    const few = await costOf(stack, devices, concurrency);
    const one = await stack.fleet(20, 1);
    tell(`registering ${registered} devices more ...`);
    await registerDevices(stack, registered);
    await stack.restart('topic-generator');
    await stack.fleet(concurrency * 8, concurrency);
    tell('adding devices as before ...');
    const many = await costOf(stack, Math.ceil(devices / 2), concurrency);
    return [
      atLeast('onboardings, sustained', few.fleet.perSecond, '/s', 100),
      { what: '  p50', value: few.fleet.p50Ms, unit: 'ms' },
      atMost('  p99', few.fleet.p99Ms, 'ms', 500),
      { what: '  p50 of one at a time', value: one.p50Ms, unit: 'ms' },
      { what: 'limit of this machine: 2 handshakes, key pair, signature, writes', value: limit, unit: '/s' },
      { what: 'CPU of an onboarding, simulators left out', value: few.cpuMs, unit: 'ms' },
      ...Object.entries(few.cpuMsOfParts).map(([part, value]) => ({ what: `  ${part}`, value, unit: 'ms' })),
      {
        what: `onboardings with ${registered.toLocaleString('en')} registered`,
        value: many.fleet.perSecond,
        unit: '/s',
      },
      { what: '  p99', value: many.fleet.p99Ms, unit: 'ms' },
      atMost('  CPU of an onboarding, ratio to before', many.cpuMs / few.cpuMs, '', 1.2),
      ...Object.entries(many.cpuMsOfParts).map(([part, value]) => ({ what: `  ${part}`, value, unit: 'ms' })),
      ...memoryRows('memory after the start', idle),
      ...memoryRows(`memory with ${registered.toLocaleString('en')} registered, after the load`, await stack.use()),
    ];
  } finally {
    await stack.close();
  }
}

async function costOf(stack: ComposeStack, devices: number, concurrency: number) {
  const before = await stack.use();
  const fleet = await stack.fleet(devices, concurrency);
  const after = await stack.use();
  const cpuMsOfParts = Object.fromEntries(
    Object.entries(after).map(([part, { cpuMs }]) => [part, (cpuMs - partOf(before, part).cpuMs) / devices]),
  );
  return { fleet, cpuMsOfParts, cpuMs: Object.values(cpuMsOfParts).reduce((sum, ms) => sum + ms, 0) };
}

function partOf(use: Readonly<Record<string, PartUse>>, part: string): PartUse {
  return use[part] ?? { cpuMs: 0, memoryMb: 0 };
}

function memoryRows(what: string, use: Readonly<Record<string, PartUse>>): Row[] {
  return Object.entries(use).map(([part, { memoryMb }]) => ({ what: `${what}: ${part}`, value: memoryMb, unit: 'MB' }));
}

/** Next to a database like the one in the containers: durable, on the same disk. */
async function limitOf(concurrency: number): Promise<number> {
  const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-bench-'));
  const gateway = await GatewayProcess.start(dataDir);
  try {
    return await machineLimit(await databaseUrlOf(dataDir), 400, concurrency);
  } finally {
    await gateway.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}
