import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { certificatesPerSecond } from './certificates.js';
import { databaseUrlOf, dist, GatewayProcess } from './gateway-process.js';
import { machineLimit } from './machine-limit.js';
import { type Row } from './report.js';

const run = promisify(execFile);

export const fleetReport = z.object({
  added: z.int(),
  failed: z.array(z.unknown()),
  perSecond: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
});
export type FleetReport = z.infer<typeof fleetReport>;

/** The embedded set-up: one process with its brokers, and its PostgreSQL. */
export async function embeddedBench(
  devices: number,
  concurrency: number,
  tell: (line: string) => void,
): Promise<Row[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-bench-'));
  try {
    tell('first start, with a new data folder ...');
    const first = await GatewayProcess.start(dataDir);
    await first.stop();
    tell('second start ...');
    const gateway = await GatewayProcess.start(dataDir);
    try {
      const idle = await gateway.memory(dataDir);
      tell('warming up ...');
      await fleet(dataDir, Math.min(devices, concurrency * 4), concurrency, 'existing-key');
      tell(`the machine's own limit ...`);
      const limit = await machineLimit(await databaseUrlOf(dataDir), Math.min(devices, 400), concurrency);
      const cpuBefore = await gateway.cpuSeconds();
      tell(`adding ${devices} devices, ${concurrency} at once ...`);
      const existing = await fleet(dataDir, devices, concurrency, 'existing-key');
      const cpuMs = ((await gateway.cpuSeconds()) - cpuBefore) * 1000;
      tell(`adding ${devices} devices that ask with a request of their own ...`);
      const csr = await fleet(dataDir, devices, concurrency, 'csr');
      tell('certificates ...');
      const certificates = await certificatesPerSecond(gateway.file, { count: 2_000, concurrency: 32 });
      const loaded = await gateway.memory(dataDir);
      const idleMb = idle.gatewayMb + idle.databaseMb;
      return [
        {
          what: 'onboardings, existing key',
          value: existing.perSecond,
          unit: '/s',
          aim: '50',
          reached: existing.perSecond >= 50,
        },
        { what: '  p50', value: existing.p50Ms, unit: 'ms' },
        { what: '  p99', value: existing.p99Ms, unit: 'ms' },
        { what: '  CPU of the platform for one (minting included)', value: cpuMs / devices, unit: 'ms' },
        { what: 'onboardings, certificate request', value: csr.perSecond, unit: '/s' },
        { what: '  p50', value: csr.p50Ms, unit: 'ms' },
        { what: '  p99', value: csr.p99Ms, unit: 'ms' },
        { what: 'limit of this machine: 2 handshakes, key pair, signature, writes', value: limit, unit: '/s' },
        {
          what: 'share of the limit reached (existing key)',
          value: (100 * existing.perSecond) / limit,
          unit: '%',
          aim: '50',
          reached: existing.perSecond / limit >= 0.5,
        },
        { what: 'certificates over the bus, stored', value: certificates, unit: '/s' },
        {
          what: 'ready, first start (new database and CA)',
          value: first.readyMs,
          unit: 'ms',
          aim: '3000',
          reached: first.readyMs <= 3000,
        },
        {
          what: 'ready, later start',
          value: gateway.readyMs,
          unit: 'ms',
          aim: '3000',
          reached: gateway.readyMs <= 3000,
        },
        { what: 'resident after the start, gateway', value: idle.gatewayMb, unit: 'MB' },
        {
          what: 'resident after the start, with PostgreSQL',
          value: idleMb,
          unit: 'MB',
          aim: '200',
          reached: idleMb <= 200,
        },
        { what: 'resident after the load, gateway', value: loaded.gatewayMb, unit: 'MB' },
        { what: 'resident after the load, with PostgreSQL', value: loaded.gatewayMb + loaded.databaseMb, unit: 'MB' },
      ];
    } finally {
      await gateway.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** The command line's own fleet, as a process of its own: simulators of devices and controllers over real TLS. */
export async function fleet(
  dataDir: string,
  devices: number,
  concurrency: number,
  keyMode: string,
): Promise<FleetReport> {
  const { stdout } = await run(
    process.execPath,
    [
      join(dist, 'cli.mjs'),
      ...['--data', dataDir, '--json', 'device', 'fleet', String(devices)],
      ...['--concurrency', String(concurrency), '--homes', String(concurrency), '--key-mode', keyMode],
    ],
    { maxBuffer: 16 * 1024 * 1024 },
  );
  const report = fleetReport.parse(JSON.parse(stdout));
  if (report.added !== devices) throw new Error(`only ${report.added} of ${devices} devices were added: ${stdout}`);
  return report;
}
