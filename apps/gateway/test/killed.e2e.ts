import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Controller } from '@mqtt2go/controller-sdk';
import { Device, MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { Bus, discovery, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleProgram, freePorts, type Started, startProgram, stopProgram } from './support/gateway-process.js';
import { createManufacturer, mintDevice } from './support/world.js';

/** Each state is stored, and then the process is gone before it does anything else. */
const states = ['requested', 'certified', 'announced', 'claimed', 'awaiting-name', 'active'] as const;

describe('kill -9 of the gateway', () => {
  let program: string;
  let dataDir: string;
  let ports: Record<string, string>;
  let ca: string;
  let manufacturer: Authority;
  let running: Started | undefined;

  const start = async (stopAt = ''): Promise<Started> => {
    running = await startProgram(program, { ...ports, MQTT2GO_DATA_DIR: dataDir, STOP_AT: stopAt });
    return running;
  };

  beforeAll(async () => {
    program = await bundleProgram('stopping-gateway', 'stopping-gateway.ts');
    dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-killed-'));
    ports = await freePorts();
    manufacturer = await createManufacturer('Acme');
    const gateway = await start();
    ca = await readFile(join(dataDir, 'tls', 'ca.crt'), 'utf8');
    const bus = await operator();
    await bus.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate });
    await bus.close();
    await stopProgram(gateway);
    running = undefined;
  });
  afterAll(async () => {
    if (running) await stopProgram(running);
    await rm(dataDir, { recursive: true, force: true });
    await rm(dirname(program), { recursive: true, force: true });
  });

  const operator = async (): Promise<Bus> => {
    const read = (...path: string[]): Promise<string> => readFile(join(dataDir, 'tls', ...path), 'utf8');
    return new Bus(
      tlsLink({
        url: `mqtts://localhost:${ports.MQTT2GO_BUS_PORT}`,
        ca: await read('services-ca.crt'),
        cert: await read('services', 'operator.crt'),
        key: await read('services', 'operator.key'),
        clientId: 'operator',
      }),
    );
  };

  const cases = [
    ...states.map((state) => ['existing-key', state] as const),
    ['csr', 'announced'] as const,
    ['csr', 'claimed'] as const,
    ['server-key', 'certified'] as const,
    ['server-key', 'claimed'] as const,
  ];
  it.each(cases)(
    'in the key mode %s, at the stored state %s: the device is added all the same',
    async (keyMode: KeyMode, state) => {
      const homeId = `home-${keyMode}-${state}`;
      const gateway = await start(state);
      const bus = await operator();
      const made = await mintDevice(bus, manufacturer, { deviceId: `device-${keyMode}-${state}`, keyMode });
      const app = await bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw' });
      await bus.close();

      const { deviceId, code: activationCode, type } = made;
      const file = {
        device_id: deviceId,
        activation_code: activationCode,
        device_type: type,
        discovery: { host: 'localhost', port: Number(ports.MQTT2GO_ACTIVATION_PORT) },
        key_mode: keyMode,
      };
      const device = new Device(new MemoryDeviceStore({ file, certificate: made.cert, key: made.key, ca }), {
        times: { backOff: { minMs: 100, maxMs: 1_000 }, answerTimeoutMs: 2_000, askAgainMs: 2_000 },
      });
      const controller = new Controller({ ...app, ca, homeId, gatewayId: 'gw', repeatMs: 2_000 });
      const lives = device.run();
      const isActive = new Promise<readonly string[]>((resolve) => device.once('active', resolve));
      try {
        await controller.connect();
        const added = controller.addDevice({
          deviceId,
          activationCode,
          naming: { name: 'Lamp', groupIds: ['living'] },
        });
        expect(await gateway.ended).toBe('SIGKILL');
        await start();
        await added;
        expect(await isActive).toEqual([`${homeId}/gw/living/${type}/${deviceId}`]);
      } finally {
        await controller.close();
        await device.stop();
        await lives.catch(() => undefined);
        if (running) await stopProgram(running);
        running = undefined;
      }
    },
  );
});
