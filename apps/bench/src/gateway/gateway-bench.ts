import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fleet } from '../embedded.js';
import { GatewayProcess, type MemoryUse } from '../gateway-process.js';
import { atMost, quantile, type Row } from '../report.js';
import { Household } from './household.js';

export interface GatewayBenchOptions {
  /** Devices of the home; each stays connected. */
  readonly devices: number;
  /** How many are added after the home has been measured, and leave; 0 for none. */
  readonly many: number;
  /** How many of these at once, in as many homes. */
  readonly concurrency: number;
  /** How long it is watched with nothing to do. */
  readonly idleSeconds: number;
}

/** The first measurement with devices. */
const few = 20;
/** An hour of a device that reports once a minute. */
const reportsAnHour = 60;
const limitMb = 200;
const readyLimitMs = 2_000;
/** A gateway in the house on a small box, unless another is to be measured. */
const settings = {
  MQTT2GO_PROFILE: process.env.MQTT2GO_PROFILE ?? 'local-gateway',
  MQTT2GO_MEMORY: process.env.MQTT2GO_MEMORY ?? 'small',
  // As the package and docker/compose.local-gateway.yaml start it.
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

/** What a small box needs for the whole gateway, program and PostgreSQL, with one home on it. */
export async function gatewayBench(options: GatewayBenchOptions, tell: (line: string) => void): Promise<Row[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-bench-'));
  try {
    tell('first start, with a new data folder ...');
    const first = await GatewayProcess.start(dataDir, settings);
    await first.stop();
    tell('second start ...');
    const gateway = await GatewayProcess.start(dataDir, settings);
    try {
      return [
        atMost('ready, first start (new database and CA)', first.readyMs, 'ms', readyLimitMs),
        atMost('ready, later start', gateway.readyMs, 'ms', readyLimitMs),
        ...memoryRows('after the start', await gateway.memory(dataDir)),
        ...(await aHome(gateway, dataDir, options, tell)),
        ...(options.many > 0 ? await manyDevices(gateway, dataDir, options, tell) : []),
      ];
    } finally {
      await gateway.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function aHome(
  gateway: GatewayProcess,
  dataDir: string,
  { devices, idleSeconds }: GatewayBenchOptions,
  tell: (line: string) => void,
): Promise<Row[]> {
  const household = await Household.open(gateway.file);
  const rows: Row[] = [];
  const measure = async (when: string): Promise<void> => {
    rows.push(...memoryRows(when, await gateway.memory(dataDir)));
  };
  const addUpTo = async (count: number): Promise<void> => {
    tell(`${count} devices, added one after the other ...`);
    await household.addDevices(count - household.size);
    await measure(`${count} devices added and connected`);
  };
  try {
    if (devices > few) await addUpTo(few);
    await addUpTo(devices);
    tell("an hour's reports of each ...");
    await household.switchAll(reportsAnHour);
    await measure("an hour's reports later");
    tell(`nothing to do for ${idleSeconds} s ...`);
    const idleCpuSeconds = await gateway.cpuSecondsDuring(dataDir, delay(idleSeconds * 1_000));
    await measure(`${idleSeconds} s later`);
    return [
      ...rows,
      { what: 'one onboarding, one at a time, p50', value: quantile(household.addingMs, 0.5), unit: 'ms' },
      { what: 'CPU with nothing to do', value: (idleCpuSeconds / idleSeconds) * 1_000, unit: 'ms/s' },
    ];
  } finally {
    await household.close();
  }
}

async function manyDevices(
  gateway: GatewayProcess,
  dataDir: string,
  { many, concurrency, idleSeconds }: GatewayBenchOptions,
  tell: (line: string) => void,
): Promise<Row[]> {
  tell(`${many} devices more, ${concurrency} at once, which leave ...`);
  const adding = fleet(dataDir, many, concurrency, 'existing-key');
  const cpuSeconds = await gateway.cpuSecondsDuring(dataDir, adding);
  const { perSecond, p50Ms } = await adding;
  const after = await gateway.memory(dataDir);
  tell(`nothing to do for ${idleSeconds} s ...`);
  await delay(idleSeconds * 1_000);
  return [
    ...memoryRows(`${many} devices more, ${concurrency} at once`, after),
    ...memoryRows(`${idleSeconds} s later`, await gateway.memory(dataDir)),
    { what: `onboardings, ${concurrency} at once`, value: perSecond, unit: '/s' },
    { what: '  p50', value: p50Ms, unit: 'ms' },
    { what: '  CPU of one, gateway and PostgreSQL', value: (cpuSeconds / many) * 1_000, unit: 'ms' },
  ];
}

function memoryRows(when: string, { gatewayMb, gatewayFilesMb, databaseMb, rssMb }: MemoryUse): Row[] {
  return [
    atMost(`${when}: gateway and PostgreSQL`, gatewayMb + databaseMb, 'MB', limitMb),
    { what: '  gateway', value: gatewayMb, unit: 'MB' },
    { what: '    of which pages of program files', value: gatewayFilesMb, unit: 'MB' },
    { what: '  PostgreSQL', value: databaseMb, unit: 'MB' },
    { what: '  all, what its processes share counted in each', value: rssMb, unit: 'MB' },
  ];
}
