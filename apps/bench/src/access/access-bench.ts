import { setTimeout as delay } from 'node:timers/promises';
import type { DevicePrincipal } from '@mqtt2go/access';
import { MosquittoBrokerAdmin } from '@mqtt2go/broker-admin-mosquitto';
import { SystemClock } from '@mqtt2go/ports';
import { connectAsync, type MqttClient } from 'mqtt';
import { pino } from 'pino';
import { atMost, quantile, type Row } from '../report.js';
import { MosquittoContainer } from './mosquitto-container.js';

const changes = 300;
const revocations = 40;
const devicesPerHome = 20;

/**
 * What a change of access costs on one real Mosquitto that knows many devices, what other messages feel of it, and how
 * long a revocation takes.
 */
export async function accessBench(
  image: string,
  { sizes, gateways }: { readonly sizes: readonly number[]; readonly gateways: boolean },
  tell: (line: string) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of sizes) {
    tell(`a broker that knows ${size} devices ...`);
    const broker = await MosquittoContainer.start(
      image,
      Array.from({ length: size }, (_, index) => deviceAt(index)),
      gateways,
    );
    try {
      rows.push(...(await measure(broker, size, tell)));
    } finally {
      await broker.stop();
    }
  }
  return rows;
}

async function measure(broker: MosquittoContainer, size: number, tell: (line: string) => void): Promise<Row[]> {
  const admin = new MosquittoBrokerAdmin(await broker.link('topic-generator'), {
    broker: broker.access,
    log: pino({ level: 'silent' }),
    clock: new SystemClock(),
    auditIntervalMs: 0,
    timeoutMs: 60_000,
  });
  const pulse = await Pulse.start(await broker.link('provisioning'));
  try {
    tell('  the copy is compared with what it should be, entry by entry ...');
    const all = Array.from({ length: size }, (_, index) => deviceAt(index));
    const quiet = await pulse.longestDuring(() => delay(3_000));
    const rebuiltAt = performance.now();
    const stallOfRebuild = await pulse.longestDuring(() => admin.replaceAll(all));
    const rebuildMs = performance.now() - rebuiltAt;

    tell(`  ${changes} devices more, one after the other ...`);
    const one: number[] = [];
    const stall = await pulse.longestDuring(async () => {
      for (let index = 0; index < changes; index += 1) {
        const startedAt = performance.now();
        await admin.put([deviceAt(size + index)]);
        one.push(performance.now() - startedAt);
      }
    });

    tell(`  ${revocations} devices lose their access ...`);
    const revoked = await revoke(broker, admin, size);
    const name = `at ${size.toLocaleString('en')} devices: `;
    const isAimed = size === 20_000;
    const aimed = (what: string, value: number, aim: number): Row =>
      isAimed ? atMost(`${name}${what}`, value, 'ms', aim) : { what: `${name}${what}`, value, unit: 'ms' };
    return [
      { what: `${name}access of one more, p50`, value: quantile(one, 0.5), unit: 'ms' },
      aimed('access of one more, p99', quantile(one, 0.99), 5),
      aimed('longest delay of another message meanwhile', stall, 10),
      { what: `${name}longest delay with nothing going on`, value: quiet, unit: 'ms' },
      aimed('revocation to closed session and refused return, p99', quantile(revoked, 0.99), 1_000),
      { what: `${name}comparing and repairing the whole copy`, value: rebuildMs, unit: 'ms' },
      { what: `${name}longest delay of another message meanwhile`, value: stallOfRebuild, unit: 'ms' },
      { what: `${name}resident memory of the broker`, value: await broker.residentMb(), unit: 'MB' },
    ];
  } finally {
    await pulse.stop();
    await admin.close();
  }
}

/** From the call to the closed session and a return that is refused everything, in ms for each device. */
async function revoke(broker: MosquittoContainer, admin: MosquittoBrokerAdmin, size: number): Promise<number[]> {
  const took: number[] = [];
  for (let index = 0; index < revocations; index += 1) {
    const { id } = deviceAt(size + index);
    const options = {
      ...(await broker.device(id)),
      ca: broker.ca,
      clientId: id,
      reconnectPeriod: 0,
      protocolVersion: 4,
    } as const;
    const client = await connectAsync(broker.deviceUrl, options, false);
    await client.subscribeAsync(`${id}/topics`, { qos: 1 });
    const closed = happens(client, 'close');
    const startedAt = performance.now();
    await admin.remove([{ kind: 'device', id }]);
    await closed;
    const again = await connectAsync(broker.deviceUrl, options, false);
    const isRefused = await again.subscribeAsync(`${id}/topics`, { qos: 1 }).then(
      () => false,
      () => true,
    );
    took.push(performance.now() - startedAt);
    await again.endAsync(true);
    if (!isRefused) throw new Error(`${id} could subscribe after its access was taken`);
  }
  return took;
}

function deviceAt(index: number): DevicePrincipal {
  return {
    kind: 'device',
    id: `device-${String(index).padStart(7, '0')}`,
    homeId: `home-${Math.floor(index / devicesPerHome)}`,
    gatewayId: 'gw',
    deviceType: 'light',
    trustsGateway: true,
    certificateSerials: [(index + 0x10_00_00).toString(16).toUpperCase().padStart(8, '0')],
  };
}

/** A service's messages to itself through the broker, one after the other: how long the broker keeps one waiting. */
class Pulse {
  private longest = 0;
  private isStopped = false;
  private readonly running: Promise<void>;

  private constructor(private readonly client: MqttClient) {
    this.running = this.run();
  }

  static async start(link: { open(suffix: string): MqttClient }): Promise<Pulse> {
    const client = link.open('pulse');
    await happens(client, 'connect');
    await client.subscribeAsync(topic, { qos: 0 });
    return new Pulse(client);
  }

  async longestDuring(work: () => Promise<unknown>): Promise<number> {
    this.longest = 0;
    await work();
    return this.longest;
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.running;
    await this.client.endAsync(true);
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      const heard = happens(this.client, 'message');
      const startedAt = performance.now();
      this.client.publish(topic, '', { qos: 0 });
      await heard;
      this.longest = Math.max(this.longest, performance.now() - startedAt);
      await delay(1);
    }
  }
}

function happens(client: MqttClient, event: 'close' | 'connect' | 'message'): Promise<void> {
  return new Promise((resolve) => {
    client.once(event, () => resolve());
  });
}

/** One that provisioning may both send on and listen to. */
const topic = 'bench-pulse/topics';
