import { type RunnableService, runnableServices } from '@mqtt2go/config';
import { Controller } from '@mqtt2go/controller-sdk';
import { Device } from '@mqtt2go/device-sdk';
import type { KeyMode } from '@mqtt2go/protocol';
import { waitFor } from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { storeOf } from './support/device-store.js';
import { bootstrap } from '../../../tools/bootstrap.mjs';
import { join, joinWithOwnKey } from './support/joining.js';
import { Program } from './support/program.js';
import { readiness, SeparateProcesses } from './support/separate-processes.js';
import type { AppCredentials, MintedDevice } from './support/world.js';

const states = ['requested', 'certified', 'announced', 'claimed', 'awaiting-name'] as const;

/** The SDKs' device and controller, as impatient as a test. */
async function startClients(
  stand: SeparateProcesses,
  device: MintedDevice,
  keyMode: KeyMode,
  { homeId, gatewayId, url, username, password }: AppCredentials,
) {
  const ca = await stand.ca();
  const sdkDevice = new Device(storeOf(device, ca, Number(stand.ports.MQTT2GO_ACTIVATION_PORT), keyMode), {
    times: { backOff: { minMs: 100, maxMs: 1_000 }, answerTimeoutMs: 2_000, askAgainMs: 2_000 },
  });
  const controller = new Controller({ url, username, password, ca, homeId, gatewayId, repeatMs: 2_000 });
  const isActive = new Promise<readonly string[]>((resolve) => sdkDevice.once('active', resolve));
  const lives = sdkDevice.run();
  await controller.connect();
  return {
    controller,
    sdkDevice,
    isActive,
    add: () =>
      controller.addDevice({
        deviceId: device.deviceId,
        activationCode: device.code,
        naming: { name: 'Lamp', groupIds: ['living'] },
      }),
    async close() {
      await controller.close();
      await sdkDevice.stop();
      await lives.catch(() => undefined);
    },
  };
}

describe('each microservice as its own process', () => {
  let stand: SeparateProcesses;
  const clients: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    await bootstrap();
    stand = await SeparateProcesses.create();
    await stand.start();
  });
  afterAll(() => stand.close());
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
  });

  const clientsFor = async (keyMode: KeyMode = 'existing-key') => {
    const { device, app } = await stand.prepare(keyMode);
    const started = await startClients(stand, device, keyMode, app);
    clients.push(started);
    return { ...started, topic: `${app.homeId}/${app.gatewayId}/living/${device.type}/${device.deviceId}`, device };
  };

  /** A quick device claims before it is noted that it was announced: a later state will do. */
  const reaches = ({ deviceId }: MintedDevice, state: (typeof states)[number]): Promise<string> => {
    const wanted = states.slice(states.indexOf(state)).map((name) => `"state":"${name}"`);
    return stand
      .service('provisioning')
      .says((line) => line.includes(`"${deviceId}"`) && wanted.some((part) => line.includes(part)));
  };

  it.each(['existing-key', 'csr', 'server-key'] as const)(
    'adds a device in 13 steps in the key mode %s',
    async (keyMode) => {
      const { device, app } = await stand.prepare(keyMode);
      const controller = await stand.connectApp(app);
      const joining = keyMode === 'csr' ? joinWithOwnKey : join;
      const { wire, data, topics } = await joining(stand, app, controller, device);
      const [topic = ''] = topics;
      expect(topics).toEqual([`${app.homeId}/${app.gatewayId}/living/${device.type}/${device.deviceId}`]);
      expect(data.key === device.key).toBe(keyMode === 'existing-key');
      await controller.publish(topic, { type: 'command', timestamp: 1, command_type: 'set', value: 'on' });
      await wire.hear(({ topic: heard, json }) => heard === topic && json.command_type === 'set');
    },
  );

  it('tells health and metrics of each service at a port of its own', async () => {
    for (const service of runnableServices) {
      const port = stand.healthPorts[service];
      const { http, dependencies } = await readiness(port);
      expect(http).toBe(200);
      expect(dependencies).toMatchObject({ database: { status: 'up' } });
      const live = await fetch(`http://127.0.0.1:${port}/health/live`);
      expect(live.status).toBe(200);
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      expect(metrics).toContain('mqtt2go_handler_duration_seconds');
      expect(metrics).toContain('process_cpu_seconds_total');
    }
  });

  it('logs the same onboarding id in all services', async () => {
    const { device, app } = await stand.prepare();
    await join(stand, app, await stand.connectApp(app), device);
    const begun = stand
      .service('provisioning')
      .log.find(({ deviceId, state }) => deviceId === device.deviceId && state === 'requested');
    expect(begun?.onboardingId).toEqual(expect.any(String));
    // No onboarding passes through the gateways' door.
    for (const service of runnableServices.filter((name) => name !== 'federation')) {
      const lines = stand.service(service).log.filter(({ onboardingId }) => onboardingId === begun?.onboardingId);
      expect(
        lines.map((line) => line.service),
        service,
      ).toContain(service);
      expect(stand.service(service).text).not.toContain(device.code);
    }
  });

  describe('kill -9 of a service, right after an onboarding has reached a state', () => {
    it.each<[RunnableService, (typeof states)[number], KeyMode]>([
      ['provisioning', 'requested', 'existing-key'],
      ['provisioning', 'announced', 'csr'],
      ['provisioning', 'claimed', 'existing-key'],
      ['provisioning', 'awaiting-name', 'server-key'],
      ['certificate-authority', 'requested', 'existing-key'],
      ['certificate-authority', 'announced', 'csr'],
      ['topic-generator', 'requested', 'existing-key'],
      ['topic-generator', 'awaiting-name', 'existing-key'],
      ['discovery', 'certified', 'existing-key'],
      ['discovery', 'announced', 'server-key'],
    ])('%s, at %s, in the key mode %s: the device is added all the same', async (service, state, keyMode) => {
      const { add, isActive, topic, device } = await clientsFor(keyMode);
      const reached = reaches(device, state);
      const added = add();
      await reached;
      expect(await stand.service(service).end('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
      stand.startService(service);
      await added;
      expect(await isActive).toEqual([topic]);
    });
  });

  it('kill -9 of the brokers, all of them empty afterwards: they are filled again and devices work on', async () => {
    const before = await clientsFor();
    await before.add();
    await before.isActive;
    const between = await clientsFor();
    const services = runnableServices.map((service) => stand.service(service));
    const reached = reaches(between.device, 'announced');
    const addedBetween = between.add();
    await reached;

    expect(await stand.infrastructure?.end('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
    for (const port of Object.values(stand.healthPorts)) {
      const bare = await waitFor(
        () => readiness(port).then((state) => (state.http === 503 ? state : undefined)),
        'a 503',
      );
      expect(bare.dependencies).toMatchObject({ BusServer: { status: 'down' }, database: { status: 'up' } });
    }
    await stand.startInfrastructure();
    await stand.allReady();

    expect(services.every((service) => service.runs)).toBe(true);
    const metrics = await (await fetch(`http://127.0.0.1:${stand.ports.MQTT2GO_HEALTH_PORT}/metrics`)).text();
    expect(metrics).not.toMatch(/mqtt2go_broker_principals\{broker="home"[^}]*\} 0\n/);
    await addedBetween;
    expect(await between.isActive).toEqual([between.topic]);
    const isOn = new Promise<unknown>((resolve) => before.sdkDevice.once('command', ({ value }) => resolve(value)));
    await Promise.all([sendUntilAnswered(before.controller, before.topic), isOn]);
    expect(await isOn).toBe('on');
  });

  it('names the dependency that is missing, at the start and later', async () => {
    const port = stand.healthPorts['topic-generator'];
    await stand.service('topic-generator').end();
    const nowhere = {
      database: { DATABASE_URL: 'postgres://a:secret@127.0.0.1:1/none' },
      bus: { MQTT2GO_BUS_URL: 'mqtts://127.0.0.1:1' },
    };
    for (const [missing, env] of Object.entries(nowhere)) {
      const program = stand.startService('topic-generator', env);
      await program.says((line) => line.includes('cannot be reached') || line.includes('waiting for the database'));
      const { http, dependencies } = await readiness(port);
      expect(http).toBe(503);
      const down = Object.entries(dependencies).filter(([, { status }]) => status === 'down');
      expect(down.map(([name]) => name)).toEqual(['start', missing]);
      expect(dependencies[missing]?.reason).toContain('ECONNREFUSED');
      expect(program.text).not.toContain('secret');
      await program.end('SIGKILL');
    }
    stand.startService('topic-generator');
    await stand.untilReady(port);
  });

  it.each([
    ['MQTT2GO_BUS_URL', 'http://localhost', 'mqtts://'],
    ['DATABASE_URL', 'mysql://u:secret@localhost/x', 'postgres://'],
    ['MQTT2GO_HEALTH_PORT', 'abc', 'a port number'],
    ['MQTT2GO_TLS_DIR', '/nowhere', '/nowhere'],
    ['MQTT2GO_KEY_FILE', '/nowhere', '/nowhere'],
  ])('ends with one clear line and not with 0 on a wrong %s', async (variable, value, expectation) => {
    for (const service of runnableServices) {
      const program = Program.start(
        service,
        { MQTT2GO_HEALTH_PORT: '0', [variable]: value },
        `${stand.dataDir}/services.env`,
      );
      expect(await program.ended).toEqual({ code: 1, signal: null });
      expect(program.err, program.text).toHaveLength(1);
      expect(program.err[0]).toContain(variable);
      expect(program.err[0]).toContain(expectation);
      expect(program.text).not.toContain('secret');
    }
  });

  it('says which port is in use', async () => {
    const taken = String(stand.healthPorts.discovery);
    const program = Program.start('provisioning', { MQTT2GO_HEALTH_PORT: taken }, `${stand.dataDir}/services.env`);
    expect(await program.ended).toEqual({ code: 1, signal: null });
    expect(program.err).toEqual([expect.stringContaining(taken)]);
  });

  it('stops each service cleanly when asked to', async () => {
    for (const service of runnableServices) {
      expect(await stand.service(service).end('SIGTERM')).toEqual({ code: 0, signal: null });
      expect(stand.service(service).err).toEqual([]);
    }
    expect(await stand.infrastructure?.end('SIGINT')).toEqual({ code: 0, signal: null });
  });
});

/** Device and controller may still be on their way back to the broker, which they come to by themselves. */
async function sendUntilAnswered(controller: Controller, topic: string): Promise<unknown> {
  const answer = (): Promise<unknown> => controller.send(topic, 'set', 'on', { timeoutMs: 3_000 });
  return waitFor(() => answer().catch(() => undefined), 'an answer', 60_000);
}
