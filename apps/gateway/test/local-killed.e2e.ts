import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Controller } from '@mqtt2go/controller-sdk';
import { BrokerFinder, Device, MemoryDeviceStore, type WifiCredentials } from '@mqtt2go/device-sdk';
import { Bus, discovery, provisioning, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleProgram, freePorts, type Started, startProgram, stopProgram } from './support/gateway-process.js';
import { AccessPoint } from './support/local-house.js';
import { createManufacturer, mintDevice } from './support/world.js';

/** Each state is stored, and then the process is gone before it does anything else. */
const states = ['requested', 'certified', 'announced', 'claimed', 'awaiting-name', 'active'] as const;

describe('kill -9 of a gateway in the house', () => {
  let program: string;
  let dataDir: string;
  let ports: Record<string, string>;
  let accessPoint: AccessPoint;
  let ca: string;
  let manufacturer: Authority;
  let running: Started | undefined;

  const start = async (stopAt = ''): Promise<Started> => {
    const env = { ...ports, ...accessPoint.env, MQTT2GO_DATA_DIR: dataDir, STOP_AT: stopAt };
    running = await startProgram(program, env);
    return running;
  };
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

  beforeAll(async () => {
    program = await bundleProgram('stopping-gateway', 'stopping-gateway.ts');
    accessPoint = await AccessPoint.create();
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
    await accessPoint.close();
    await rm(dataDir, { recursive: true, force: true });
    await rm(dirname(program), { recursive: true, force: true });
  });

  const cases = [
    ...states.map((state) => ['existing-key', state] as const),
    ['csr', 'claimed'] as const,
    ['server-key', 'claimed'] as const,
  ];
  it.each(cases)(
    'in the key mode %s, at the stored state %s: the device is added all the same, and its network is closed',
    async (keyMode: KeyMode, state) => {
      const homeId = `home-${keyMode}-${state}`;
      const gateway = await start(state);
      const bus = await operator();
      const made = await mintDevice(bus, manufacturer, { deviceId: `device-${keyMode}-${state}`, keyMode });
      const app = await bus.call(topicGenerator.createController, { homeId, gatewayId: 'gw' });
      await bus.call(provisioning.setWifi, { homeId, gatewayId: 'gw', ssid: 'Ours', password: 'correct horse' });
      await bus.close();

      const { deviceId, code: activationCode, type } = made;
      const file = {
        device_id: deviceId,
        activation_code: activationCode,
        device_type: type,
        // Nobody listens there: there is no Discovery server.
        discovery: { host: 'localhost', port: 1 },
        key_mode: keyMode,
      };
      const told: WifiCredentials[] = [];
      const finder = new BrokerFinder(async () => ({ host: 'localhost', port: Number(ports.MQTT2GO_HOME_PORT) }));
      const device = new Device(new MemoryDeviceStore({ file, certificate: made.cert, key: made.key, ca }), {
        finder,
        joinWifi: (wifi) => void told.push(wifi),
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
        expect(told.length).toBeLessThanOrEqual(1);
        await waitFor(async () => (await accessPoint.open()) === undefined, 'the end of the guest network');
      } finally {
        await controller.close();
        await device.stop();
        await lives.catch(() => undefined);
        if (running) await stopProgram(running);
        running = undefined;
      }
    },
  );

  it('what a killed gateway left open is closed at the next start, and opened again for the device that may still come', async () => {
    const gateway = await start();
    const bus = await operator();
    const made = await mintDevice(bus, manufacturer, { deviceId: 'left-alone' });
    const app = await bus.call(topicGenerator.createController, { homeId: 'home-left', gatewayId: 'gw' });
    await bus.close();
    const controller = new Controller({ ...app, ca, homeId: 'home-left', gatewayId: 'gw', repeatMs: 60_000 });
    await controller.connect();
    const adding = controller.addDevice({
      deviceId: made.deviceId,
      activationCode: made.code,
      naming: { name: 'Lamp', groupIds: ['living'] },
    });
    adding.catch(() => undefined);
    await waitFor(() => accessPoint.open(), 'the guest network');
    gateway.child.kill('SIGKILL');
    await gateway.ended;
    await controller.close();
    expect(await accessPoint.open()).toMatchObject({ passphrase: made.code });

    // Another's, as if the state of this one had been lost.
    await writeFile(
      accessPoint.file,
      JSON.stringify({ activationId: 'lost', method: 'guest', passphrase: 'other code' }),
    );
    await start();
    await waitFor(async () => (await accessPoint.open())?.passphrase === made.code, 'the network of the device');
    const again = await operator();
    await again.call(provisioning.cancelOnboarding, { deviceId: made.deviceId });
    await waitFor(async () => (await accessPoint.open()) === undefined, 'the end of the guest network');
    await again.close();
    if (running) await stopProgram(running);
    running = undefined;
    await expect(access(accessPoint.file)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
