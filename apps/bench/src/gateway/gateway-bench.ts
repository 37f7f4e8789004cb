import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GatewayProcess, type MemoryUse } from '../gateway-process.js';
import { atMost, type Row } from '../report.js';
import { Household } from './household.js';

export interface GatewayBenchOptions {
  /** Devices of the home; each stays connected. */
  readonly devices: number;
  /** How many are added after the home has been measured; 0 for none. */
  readonly many: number;
  /** How long it is watched with nothing to do. */
  readonly idleSeconds: number;
}

/** An hour of a device that reports once a minute. */
const reportsAnHour = 60;
const limitMb = 200;
/** As the local-gateway profile has it, unless another is to be measured. */
const memory = { MQTT2GO_MEMORY: process.env.MQTT2GO_MEMORY ?? 'small' };

/** What a small box needs for the whole gateway, program and PostgreSQL, with one home on it. */
export async function gatewayBench(options: GatewayBenchOptions, tell: (line: string) => void): Promise<Row[]> {
  const { devices, many, idleSeconds } = options;
  const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-bench-'));
  try {
    tell('first start, with a new data folder ...');
    const first = await GatewayProcess.start(dataDir, memory);
    await first.stop();
    tell('second start ...');
    const gateway = await GatewayProcess.start(dataDir, memory);
    try {
      const started = await gateway.memory(dataDir);
      const household = await Household.open(gateway.file);
      try {
        tell(`adding ${devices} devices, one after the other ...`);
        await household.addDevices(devices, true);
        const joined = await gateway.memory(dataDir);
        tell("an hour's reports of each ...");
        await household.switchAll(reportsAnHour);
        const busy = await gateway.memory(dataDir);
        tell(`nothing to do for ${idleSeconds} s ...`);
        const idleCpuSeconds = await gateway.cpuSecondsDuring(dataDir, delay(idleSeconds * 1_000));
        const home = await gateway.memory(dataDir);
        const rows = [
          { what: 'ready, first start (new database and CA)', value: first.readyMs, unit: 'ms' },
          atMost('ready, later start', gateway.readyMs, 'ms', 2_000),
          ...memoryRows('after the start', started),
          ...memoryRows(`${devices} devices added and connected`, joined),
          ...memoryRows("an hour's reports later", busy),
          ...memoryRows(`${idleSeconds} s later`, home),
          {
            what: 'CPU with nothing to do',
            value: (idleCpuSeconds / idleSeconds) * 1_000,
            unit: 'ms/s',
          },
        ];
        if (many === 0) return rows;
        tell(`adding ${many} devices more, which leave at once ...`);
        await household.addDevices(many, false);
        const { allMb, gatewayMb, rssMb } = await gateway.memory(dataDir);
        return [
          ...rows,
          { what: `${many} devices more: gateway`, value: gatewayMb, unit: 'MB' },
          { what: `${many} devices more: with PostgreSQL`, value: allMb, unit: 'MB' },
          { what: '  what its processes share counted in each', value: rssMb, unit: 'MB' },
        ];
      } finally {
        await household.close();
      }
    } finally {
      await gateway.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function memoryRows(when: string, { gatewayMb, allMb, rssMb }: MemoryUse): Row[] {
  return [
    { what: `${when}: gateway`, value: gatewayMb, unit: 'MB' },
    atMost(`${when}: with PostgreSQL`, allMb, 'MB', limitMb),
    { what: '  what its processes share counted in each', value: rssMb, unit: 'MB' },
  ];
}
