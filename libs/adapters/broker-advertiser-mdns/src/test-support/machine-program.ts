/**
 * What runs on a machine of a house in the tests. `gateway <options>` advertises a broker; `device <options>` looks for
 * one. Each line of standard input is an order, each of standard output what came of it, both JSON. Ends with its input.
 */
import { createInterface } from 'node:readline';
import { type FoundGateway, LocalBrokerLookup } from '@mqtt2go/mdns';
import { z } from 'zod';
import { MdnsBrokerAdvertiser } from '../mdns-broker-advertiser.js';

const options = z.object({
  bind: z.string().default('0.0.0.0'),
  interfaces: z.array(z.string()).optional(),
  retryMs: z.number().optional(),
  timeoutMs: z.number().optional(),
});
const order = z.discriminatedUnion('order', [
  z.object({ order: z.literal('start'), port: z.number() }),
  z.object({ order: z.literal('stop') }),
  z.object({ order: z.literal('find') }),
  z.object({ order: z.literal('lookup'), name: z.string(), family: z.number().optional() }),
]);

const [role, given = '{}'] = process.argv.slice(2);
const { timeoutMs, ...settings } = options.parse(JSON.parse(given));
const tell = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (details: object, message: string) => tell({ warned: message, details }),
};

const advertiser = new MdnsBrokerAdvertiser({ pollMs: 200, ...settings, log });
advertiser.onChange((state) => tell({ state }));
const several: FoundGateway[] = [];
const onSeveral = (gateways: readonly FoundGateway[]): void => void several.push(...gateways);
const lookup = new LocalBrokerLookup({ ...(timeoutMs === undefined ? {} : { timeoutMs }), onSeveral, log });

async function obey(line: string): Promise<void> {
  const told = order.parse(JSON.parse(line));
  const startedMs = performance.now();
  const done = (more: object = {}): void => tell({ done: told.order, ms: performance.now() - startedMs, ...more });
  switch (told.order) {
    case 'start':
      await advertiser.start(told.port);
      done();
      break;
    case 'stop':
      await advertiser.stop();
      done();
      break;
    case 'find':
      done({ found: await lookup.find(new AbortController().signal), several: several.splice(0) });
      break;
    case 'lookup':
      lookup.lookup(told.name, { all: true, family: told.family ?? 0 }, (error, addresses) =>
        done(error === null ? { addresses } : { code: error.code }),
      );
  }
}

createInterface(process.stdin)
  .on('line', (line) => void obey(line))
  .on('close', () => process.exit());
tell({ ready: role });
