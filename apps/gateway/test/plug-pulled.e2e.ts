import { randomInt } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Controller } from '@mqtt2go/controller-sdk';
import { Device } from '@mqtt2go/device-sdk';
import { type Bus, discovery, topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { waitFor, within } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storeOf } from './support/device-store.js';
import { bootstrap } from '../../../tools/bootstrap.mjs';
import { freePorts } from './support/gateway-process.js';
import { operatorBus } from './support/operator-bus.js';
import { databasePid, isAlive, Program } from './support/program.js';
import { createManufacturer, mintDevice } from './support/world.js';

const keyModes: readonly KeyMode[] = ['existing-key', 'csr', 'server-key'];
const rounds = 9;
/** An onboarding takes a good tenth of a second. */
const longestMs = 200;

/** An initdb that a killed gateway has begun still writes for a moment. */
const cleared = { recursive: true, force: true, maxRetries: 50, retryDelay: 50 } as const;

describe('the plug is pulled', () => {
  let dataDir: string;
  let ports: Record<string, string>;
  let manufacturer: Authority;
  let gateway: Program;
  let ca: string;
  const path = (...names: string[]): string => join(dataDir, ...names);

  const start = async (env: Record<string, string> = {}): Promise<Program> => {
    gateway = Program.start('gateway', { ...ports, MQTT2GO_DATA_DIR: dataDir, MQTT2GO_LOG_FORMAT: 'json', ...env });
    return gateway;
  };
  const isReady = (): Promise<string> => gateway.says((line) => line.includes('"msg":"ready"'));

  /** Gateway and database, all processes at once. */
  const pull = async (): Promise<void> => {
    const postmaster = (await databasePid(dataDir)) ?? 0;
    const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').catch(() => '');
    const pids = [gateway.pid, postmaster, ...children.trim().split(' ').map(Number)].filter((pid) => pid > 0);
    for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
    await gateway.ended;
    await waitFor(() => pids.every((pid) => !isAlive(pid)), 'the end of all processes');
  };

  beforeAll(async () => {
    await bootstrap();
    dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-plug-'));
    ports = await freePorts();
    manufacturer = await createManufacturer('Acme');
    await start();
    await isReady();
    ca = await readFile(path('tls', 'ca.crt'), 'utf8');
    await withOperator((bus) =>
      bus.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate }),
    );
  });
  afterAll(async () => {
    await gateway.end();
    await rm(dataDir, { recursive: true, force: true });
  });

  const withOperator = async <T>(work: (bus: Bus) => Promise<T>): Promise<T> => {
    const bus = await operatorBus(dataDir, ports);
    try {
      return await work(bus);
    } finally {
      await bus.close();
    }
  };

  /** What a file system may have made of files that were being written. */
  const spoils: readonly [string, () => Promise<void>][] = [
    ['an empty platform.json', () => truncate(path('platform.json'))],
    ['half a platform.json', () => halve('platform.json')],
    ['half a clock.json', () => halve('clock.json')],
    ['noise in clock.json', () => writeFile(path('clock.json'), '\0\0\0\0')],
    ['an empty lock.pid', () => truncate(path('lock.pid'))],
    ["half of the home broker's key", () => halve('tls', 'home-broker.key')],
    ["an empty file for the operator's certificate", () => truncate(path('tls', 'services', 'operator.crt'))],
    ['no root certificate', () => rm(path('tls', 'ca.crt'))],
    ['half of a draft that was never named', () => writeFile(path('tls', 'home-broker.crt.1b2c-3d'), '-----BEGIN')],
    ['an empty password file of the database', () => truncate(path('postgres', 'password'))],
    ['another number as the database’s', () => renumber('postgres', 'cluster', 'postmaster.pid')],
  ];
  const halve = async (...names: string[]): Promise<void> => {
    await truncate(path(...names), Math.floor((await stat(path(...names))).size / 2));
  };
  const renumber = async (...names: string[]): Promise<void> => {
    const text = await readFile(path(...names), 'utf8').catch(() => undefined);
    if (text !== undefined) await writeFile(path(...names), text.replace(/^\d+/, String(process.pid)));
  };

  const living: { close(): Promise<void> }[] = [];
  const homes: { controller: Controller; topic: string }[] = [];

  it(`at ${rounds} moments of onboardings: every device is in afterwards, and all work`, async () => {
    for (let round = 0; round < rounds; round += 1) {
      const keyMode = keyModes[round % keyModes.length] ?? 'csr';
      const homeId = `home-${round}`;
      const { made, app } = await withOperator(async (bus) => ({
        made: await mintDevice(bus, manufacturer, { deviceId: `device-${round}`, keyMode }),
        app: await bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw' }),
      }));
      const { deviceId, code: activationCode } = made;
      const store = storeOf(made, ca, Number(ports.MQTT2GO_ACTIVATION_PORT), keyMode);
      const device = new Device(store, {
        times: { backOff: { minMs: 50, maxMs: 500 }, answerTimeoutMs: 2_000, askAgainMs: 2_000 },
      });
      const controller = new Controller({ ...app, ca, homeId, gatewayId: 'gw', repeatMs: 2_000, reconnectMs: 100 });
      living.push({ close: () => device.stop() }, controller);
      await controller.connect();
      const isActive = new Promise<readonly string[]>((resolve) => device.once('active', resolve));
      device.run().catch(() => undefined);
      const added = controller.addDevice({ deviceId, activationCode, naming: { name: 'Lamp', groupIds: ['living'] } });
      added.catch(() => undefined);
      // No waiting for anything: the plug is pulled whenever it is.
      const afterMs = randomInt(longestMs);
      await delay(afterMs);
      await pull();
      const spoilt = [0, 1].map(() => spoils[randomInt(spoils.length)]);
      for (const each of spoilt) await each?.[1]().catch(() => undefined);
      const what = `round ${round}, ${keyMode}, after ${afterMs} ms, with ${spoilt.map((each) => each?.[0]).join(' and ')}`;
      await start();
      await isReady().catch((error: unknown) => {
        throw new Error(what, { cause: error });
      });
      await within(added, `the device to be added: ${what}`, 30_000);
      const [topic = ''] = await within(isActive, `the device to be at home: ${what}`, 30_000);
      homes.push({ controller, topic });
    }
    for (const { controller, topic } of homes) {
      // An app that was often turned away comes again after a minute at the latest.
      const answered = await waitFor(() => controller.send(topic, 'set', 'on').catch(() => undefined), topic, 61_000);
      expect(answered).toBeDefined();
    }
    await Promise.all(living.splice(0).map((each) => each.close()));
    const verify = Program.start('cli', { MQTT2GO_DATA_DIR: dataDir }, undefined, ['audit', 'verify']);
    expect(await verify.ended, verify.text).toMatchObject({ code: 0 });
  }, 240_000);

  it('and the encryption key is gone: it says what to do, and goes on when the key is back', async () => {
    const file = path('secrets', 'encryption.key');
    const key = await readFile(file);
    await pull();
    for (const spoil of [() => truncate(file), () => rm(file)]) {
      await spoil();
      await start();
      expect(await gateway.ended).toMatchObject({ code: 1 });
      expect(gateway.text).toContain('encryption.key');
      expect(gateway.text).toContain('backup');
    }
    await writeFile(file, key, { mode: 0o600 });
    await start();
    await isReady();
  });

  it('while the first start made its files: the next one makes them', async () => {
    await gateway.end();
    for (let time = 0; time < 3; time += 1) {
      const first = await mkdtemp(join(tmpdir(), 'mqtt2go-plug-'));
      const own = dataDir;
      dataDir = first;
      try {
        await start();
        await delay(randomInt(1_500));
        await pull();
        if (time === 0) await writeFile(path('secrets', 'encryption.key'), '').catch(() => undefined);
        if (time === 0) await rm(path('postgres'), cleared);
        await start();
        await isReady();
        await gateway.end();
      } finally {
        dataDir = own;
        await rm(first, cleared);
      }
    }
    await start();
    await isReady();
  });
});
