import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { Controller } from '@mqtt2go/controller-sdk';
import { Device, type MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { type Bus, discovery, topicGenerator } from '@mqtt2go/messaging';
import { type Authority, readCertificate } from '@mqtt2go/pki';
import { waitFor, within } from '@mqtt2go/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bootstrap } from '../../../tools/bootstrap.mjs';
import { storeOf } from './support/device-store.js';
import { FakeTime, hasFakeTime } from './support/fake-time.js';
import { freePorts } from './support/gateway-process.js';
import { operatorBus } from './support/operator-bus.js';
import { Program } from './support/program.js';
import { createManufacturer, type MintedDevice, mintDevice } from './support/world.js';

const dayMs = 86_400_000;
/** When manufacturers have made their devices: before the programs were built, which is where the box's time begins. */
const madeMs = Date.now() - 365 * dayMs;

/** The gateway's and the command line's clock starts in 1970, and is set when the test says so; everybody else's is right. */
describe.skipIf(!hasFakeTime)('a box whose clock starts in 1970', () => {
  let folder: string;
  let clock: FakeTime;
  let dataDir: string;
  let ports: Record<string, string>;
  let manufacturer: Authority;
  let gateway: Program;
  let bus: Bus;
  let ca: string;
  const living: { close(): Promise<void> }[] = [];

  const setClock = (time: Date): Promise<void> => clock.set(time);
  const environment = (): Record<string, string> => ({
    ...ports,
    ...clock.env,
    MQTT2GO_DATA_DIR: dataDir,
    MQTT2GO_LOG_FORMAT: 'json',
  });
  const start = async (): Promise<void> => {
    gateway = Program.start('gateway', environment());
    await gateway.says((line) => line.includes('"msg":"ready"'));
    ca = await readFile(join(dataDir, 'tls', 'ca.crt'), 'utf8');
    bus = await operatorBus(dataDir, ports);
  };

  beforeAll(async () => {
    await bootstrap();
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-1970-'));
    clock = new FakeTime(folder);
    dataDir = join(folder, 'data');
    ports = await freePorts();
    manufacturer = await createManufacturer('Acme', madeMs);
    await setClock(new Date(0));
    await start();
    await bus.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate });
  });
  afterEach(async () => {
    await Promise.all(living.splice(0).map((each) => each.close()));
  });
  afterAll(async () => {
    await bus.close();
    await gateway.end();
    await rm(folder, { recursive: true, force: true });
  });

  const openHome = async (homeId: string): Promise<Controller> => {
    const app = await bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw' });
    const controller = new Controller({ ...app, ca, homeId, gatewayId: 'gw' });
    living.push(controller);
    await controller.connect();
    return controller;
  };
  const newStore = (made: MintedDevice): MemoryDeviceStore => storeOf(made, ca, Number(ports.MQTT2GO_ACTIVATION_PORT));
  /** Lives until the end of the test. Resolves with its topics. */
  const live = (store: MemoryDeviceStore): Promise<readonly string[]> => {
    const device = new Device(store, { times: { backOff: { minMs: 100, maxMs: 1_000 } } });
    living.push({ close: () => device.stop() });
    const active = new Promise<readonly string[]>((resolve, reject) => {
      device.once('active', resolve);
      device.on('problem', ({ error, retryInMs }) => retryInMs === undefined && reject(error));
    });
    device.run().catch(() => undefined);
    return within(active, 'the device to be at home', 30_000);
  };
  /** @param whenAnnounced what happens before the device is switched on */
  const add = async (deviceId: string, store: MemoryDeviceStore, code: string, whenAnnounced?: () => Promise<void>) => {
    const controller = await openHome(`home-of-${deviceId}`);
    let topics: Promise<readonly string[]> = Promise.resolve([]);
    await controller.addDevice({
      deviceId,
      activationCode: code,
      naming: { name: 'Lamp', groupIds: ['living'] },
      onProgress: (progress) => {
        if (progress.kind !== 'state' || progress.state !== 'announced') return;
        topics = Promise.resolve(whenAnnounced?.()).then(() => live(store));
        topics.catch(() => undefined);
      },
    });
    const [topic = ''] = await topics;
    expect(await controller.send(topic, 'set', 'on')).toBeDefined();
  };
  const query = async (sql: string, values: unknown[]): Promise<Record<string, unknown>[]> => {
    const password = (await readFile(join(dataDir, 'postgres', 'password'), 'utf8')).trim();
    const port = (await readFile(join(dataDir, 'postgres', 'port'), 'utf8')).trim();
    const client = new pg.Client(`postgres://mqtt2go:${password}@127.0.0.1:${port}/mqtt2go`);
    await client.connect();
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end();
    }
  };

  it('says so, is ready, and issues certificates that others find valid', async () => {
    expect(gateway.text).toContain("the system's clock is behind");
    const minted = await mintDevice(bus, manufacturer, { deviceId: 'first', nowMs: madeMs });
    const store = newStore(minted);
    await add('first', store, minted.code);
    const credentials = await store.credentials();
    const { notBeforeMs, notAfterMs } = readCertificate(credentials?.certificate ?? '');
    expect(notBeforeMs).toBeLessThan(Date.now());
    expect(notAfterMs).toBeGreaterThan(Date.now() + 700 * dayMs);
  });

  it('writes the platform’s time to the audit log', async () => {
    for (const schema of ['certificate_authority', 'discovery', 'provisioning', 'topic_generator']) {
      const [row] = await query(`SELECT count(*)::integer AS entries, min(at) AS first FROM ${schema}.audit_entry`, []);
      expect(row?.entries).toBeGreaterThan(0);
      expect(Math.abs(Number(row?.first) - Date.now())).toBeLessThan(dayMs);
    }
  });

  it('is reached by the command line, whose clock is in 1970 as well', async () => {
    const args = ['--json', 'controller', 'credentials', '--home', 'h', '--gateway', 'g', '--out', join(folder, 'app')];
    const cli = Program.start('cli', environment(), undefined, args);
    expect(await cli.ended, cli.text).toMatchObject({ code: 0 });
    expect(JSON.parse(await readFile(join(folder, 'app', 'credentials.json'), 'utf8'))).toBeDefined();
  });

  it('still refuses certificates of others', async () => {
    const stranger = await createManufacturer('Nobody', madeMs);
    const minted = await mintDevice(bus, stranger, { deviceId: 'strange', nowMs: madeMs });
    const device = new Device(newStore(minted), { times: { backOff: { minMs: 100, maxMs: 1_000 } } });
    living.push({ close: () => device.stop() });
    const trouble = new Promise<string>((resolve) => {
      device.on('problem', ({ error }) => resolve(error.code));
    });
    device.run().catch(() => undefined);
    expect(await within(trouble, 'the refusal', 20_000)).toBeDefined();
    const metrics = await (await fetch(`http://127.0.0.1:${ports.MQTT2GO_HEALTH_PORT}/metrics`)).text();
    expect(metrics).toMatch(/mqtt2go_clock_system_offset_seconds\S* -\d{9,}/);
  });

  it('leaves a device that waits its time when the clock is set three months ahead meanwhile', async () => {
    const minted = await mintDevice(bus, manufacturer, { deviceId: 'waiting', nowMs: madeMs });
    const later = Date.now() + 90 * dayMs;
    await add('waiting', newStore(minted), minted.code, async () => {
      await setClock(new Date(later));
      await gateway.says((line) => line.includes("the system's clock is right again"));
      const [open] = await query('SELECT deadline FROM provisioning.onboarding WHERE device_id = $1', ['waiting']);
      const [waits] = await query('SELECT expires_at FROM discovery.waiting_activation WHERE device_id = $1', [
        'waiting',
      ]);
      for (const end of [open?.deadline, waits?.expires_at]) {
        expect(Number(end)).toBeGreaterThan(later + 13 * 60_000);
        expect(Number(end)).toBeLessThan(later + 16 * 60_000);
      }
    });
  });

  it('goes on from the last known time after a power cut that has taken the clock with it', async () => {
    await bus.close();
    await gateway.end('SIGKILL');
    await setClock(new Date(0));
    await start();
    const { time } = gateway.log.find(({ msg }) => String(msg).includes("the system's clock is behind")) ?? {};
    expect(String(time)).toBeDefined();
    const { lastKnown } = JSON.parse(await readFile(join(dataDir, 'clock.json'), 'utf8'));
    expect(Date.parse(lastKnown)).toBeGreaterThan(Date.now() + 89 * dayMs);
    const minted = await mintDevice(bus, manufacturer, { deviceId: 'later', nowMs: madeMs });
    const store = newStore(minted);
    await add('later', store, minted.code);
  });

  it('shows other certificates when those that it has had have ended by the right time', async () => {
    const shown = async (port: string | undefined): Promise<PeerCertificate> => {
      const socket = connect({ host: 'localhost', port: Number(port), rejectUnauthorized: false });
      socket.on('error', () => undefined);
      await once(socket, 'secureConnect');
      const certificate = socket.getPeerCertificate();
      socket.destroy();
      return certificate;
    };
    const names = ['HOME', 'HOME_WSS', 'ACTIVATION', 'DISCOVERY', 'BUS', 'FEDERATION'];
    const doors = names.map((name) => ports[`MQTT2GO_${name}_PORT`]);
    // To this test's own clock what is shown afterwards is from the future: it connects before.
    const controller = await openHome('home-of-renewed');
    const before = await Promise.all(doors.map(shown));
    const later = Date.now() + 500 * dayMs;
    await setClock(new Date(later));
    await waitFor(
      async () => {
        const now = await Promise.all(doors.map(shown));
        return now.every(
          (each, index) => each.serialNumber !== before[index]?.serialNumber && Date.parse(each.valid_to) > later,
        );
      },
      'other certificates',
      20_000,
    );
    // Provisioning comes to the Discovery server with another certificate, too.
    const minted = await mintDevice(bus, manufacturer, { deviceId: 'renewed', nowMs: madeMs });
    const announced = new Promise<void>((resolve, reject) => {
      controller
        .addDevice({
          deviceId: minted.deviceId,
          activationCode: minted.code,
          naming: { name: 'Lamp', groupIds: ['living'] },
          onProgress: (progress) => progress.kind === 'state' && progress.state === 'announced' && resolve(),
        })
        .catch(reject);
    });
    await within(announced, 'the device to be announced', 20_000);
  });
});
