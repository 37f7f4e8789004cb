import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { accessBench } from './access/access-bench.js';
import { certificatesBench } from './cfssl.js';
import { embeddedBench } from './embedded.js';
import { gatewayBench } from './gateway/gateway-bench.js';
import { serveLimit } from './machine-limit.js';
import { moveBench } from './move/move-bench.js';
import { stackBench } from './stack/stack-bench.js';
import { type Row, tableOf } from './report.js';

const help = `npm run bench -- [suite ...] [options]

Measures on this machine, simulators included, next to limits or peers in the same run. Everything is started for it, listens on
loopback and is removed at the end.

  embedded      the set-up of npm start: one process, embedded brokers and PostgreSQL (the default; about a minute)
  gateway       a gateway in the house on a small box: memory and time to ready, with one home, then with many devices
                more (about five minutes)
  access        access on a real Mosquitto that knows many devices: cost of a change, revocation (needs Docker; some minutes)
  certificates  certificates per second, beside CFSSL's server (needs Debian's golang-cfssl; half a minute)
  stack         docker/compose.remote-broker.yaml: real Mosquitto and PostgreSQL, a container a service (needs Docker and
                npm run images; about five minutes)
  move          a home of many devices moves from a gateway to a cloud and back, while everybody speaks (two processes with
                their PostgreSQL; some minutes)

  --devices N      embedded: how many devices are added (600); gateway: how many the home has (100);
                   move: how many the home has (1000)
  --many N         gateway: how many are added after that (1000)
  --idle N         gateway: seconds of watching it do nothing, each time (60)
  --concurrency N  embedded, stack, and gateway with --many: how many at once (24)
  --sizes N,N,...  access: how many devices the broker knows (1000,20000,100000)
  --gateways       access: a broker for homes with gateways, every device with a certificate of its gateway
  --seconds N      stack: how long devices are added (120)
  --registered N   stack: how many devices are registered for the comparison (100000)
  --json           the figures as JSON only
  --help           this text

MQTT2GO_MOSQUITTO_IMAGE names the broker's image. The figures are also written to .bench/<suite>.json.
`;

const suite = z.enum(['embedded', 'gateway', 'access', 'certificates', 'stack', 'move']);
const positive = z.coerce.number().int().min(1).max(1_000_000);

async function main(): Promise<void> {
  if (process.argv[2] === 'limit-server') return serveLimit();
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      devices: { type: 'string' },
      many: { type: 'string', default: '1000' },
      idle: { type: 'string', default: '60' },
      concurrency: { type: 'string', default: '24' },
      sizes: { type: 'string', default: '1000,20000,100000' },
      gateways: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '120' },
      registered: { type: 'string', default: '100000' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const tell = (line: string): void => {
    if (!values.json) process.stderr.write(`${line}\n`);
  };
  const suites = {
    embedded: () => embeddedBench(positive.parse(values.devices ?? 600), positive.parse(values.concurrency), tell),
    gateway: () =>
      gatewayBench(
        {
          devices: positive.parse(values.devices ?? 100),
          many: z.coerce.number().int().min(0).max(1_000_000).parse(values.many),
          concurrency: positive.parse(values.concurrency),
          idleSeconds: positive.parse(values.idle),
        },
        tell,
      ),
    access: () =>
      accessBench(
        process.env.MQTT2GO_MOSQUITTO_IMAGE ?? 'mqtt2go/offline-mosquitto',
        { sizes: values.sizes.split(',').map((size) => positive.parse(size)), gateways: values.gateways },
        tell,
      ),
    move: () => moveBench(positive.parse(values.devices ?? 1_000), tell),
    certificates: () => certificatesBench(2_000, 32, tell),
    stack: () =>
      stackBench(
        {
          seconds: positive.parse(values.seconds),
          concurrency: positive.parse(values.concurrency),
          registered: positive.parse(values.registered),
        },
        tell,
      ),
  };
  for (const name of z.array(suite).parse(positionals.length === 0 ? ['embedded'] : positionals)) {
    await report(name, await suites[name](), values.json);
  }
}

async function report(name: string, rows: readonly Row[], asJson: boolean): Promise<void> {
  const text = JSON.stringify(
    { at: new Date().toISOString(), suite: name, node: process.version, cpus: cpus().map(({ model }) => model), rows },
    null,
    2,
  );
  await mkdir('.bench', { recursive: true });
  await writeFile(join('.bench', `${name}.json`), `${text}\n`);
  process.stdout.write(asJson ? `${text}\n` : `${tableOf(rows)}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
