import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { runnableServices } from '@mqtt2go/config';
import { Bus, discovery, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import { freePort, type RunningContainer, waitFor } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Objects, render } from '../../../../tools/chart-tests/support/chart.mjs';
import { type Doors, join } from '../support/joining.js';
import { knock } from '../support/gateways-door.js';
import { Wire } from '../support/wire.js';
import { type AppCredentials, createManufacturer, type Identity, mintDevice } from '../support/world.js';
import { PodRunner, type RunningPod } from './support/kubernetes/pod-runner.js';
import { untilReady } from './support/system-stack.js';

/** Long enough for the sidecar of the activation broker to have seen a manufacturer. */
const trustTimeoutMs = 60_000;

describe('the pods of the Helm chart, run one by one', () => {
  let runner: PodRunner;
  let objects: Objects;
  let bus: Bus;
  let app: AppCredentials;
  const pods = new Map<string, RunningPod>();
  const wires: Wire[] = [];
  const ports = { devices: 0, controllers: 0, webSocket: 0, activation: 0, door: 0 };

  const run = async (component: string, published: Parameters<PodRunner['run']>[2] = []): Promise<RunningPod> => {
    const pod = await runner.run(objects, objects.pod(component), published);
    pods.set(component, pod);
    return pod;
  };
  const container = (component: string, name = component): RunningContainer => {
    const pod = pods.get(component);
    if (pod === undefined) throw new Error(`no pod of ${component} runs`);
    return pod.container(name);
  };
  const startHomeBroker = async (): Promise<void> => {
    await run('home-broker', [
      { inside: 8883, host: ports.devices },
      { inside: 8889, host: ports.controllers },
      { inside: 8884, host: ports.webSocket },
    ]);
    await waitFor(() => speaksTls(ports.controllers), 'the home broker listens', 30_000);
  };
  const secretOf = (name: string) => runner.secret(`m-mqtt2go-${name}`);
  const keep = (wire: Wire): Wire => {
    wires.push(wire);
    return wire;
  };
  const ca = async (): Promise<string> => (await secretOf('operator'))['ca.crt'] ?? '';
  const connectApp = async ({ url, username, password }: AppCredentials): Promise<Wire> =>
    keep(await Wire.connect(url, { ca: await ca(), username, password }));
  const doors: Doors = {
    connectToActivation: async ({ cert, key, deviceId }: Identity & { deviceId?: string }) =>
      keep(
        await Wire.connect(`mqtts://localhost:${ports.activation}`, {
          ca: await ca(),
          cert,
          key,
          ...(deviceId && { clientId: deviceId }),
        }),
      ),
    connectHome: async ({ cert, key, deviceId }: Identity & { deviceId?: string }, host?: string, port?: number) =>
      keep(
        await Wire.connect(`mqtts://${host ?? 'localhost'}:${port ?? ports.devices}`, {
          ca: await ca(),
          cert,
          key,
          ...(deviceId && { clientId: deviceId }),
        }),
      ),
  };

  beforeAll(async () => {
    for (const name of ['devices', 'controllers', 'webSocket', 'activation', 'door'] as const)
      ports[name] = await freePort();
    const { activation, door, ...home } = ports;
    objects = await render({
      files: ['trial'],
      values: {
        brokers: {
          access: { intervalSeconds: 5 },
          home: {
            listeners: Object.fromEntries(Object.entries(home).map(([name, nodePort]) => [name, { nodePort }])),
          },
          activation: { listeners: { devices: { nodePort: activation } } },
        },
        services: { federation: { door: { nodePort: door } } },
      },
    });
    runner = await PodRunner.start();
    await runner.apply(objects);
    await run('postgresql');
  });
  afterAll(async () => {
    await Promise.all(wires.splice(0).map((wire) => wire.close()));
    await bus?.close();
    await runner?.close();
  });

  it('make what all of them mount, in a Job that has the cluster’s token', async () => {
    const job = await run('initialise');
    const status = await job.container('initialise').ended();
    expect(status, await job.container('initialise').logs()).toBe(0);
    for (const pod of objects.pods) {
      for (const { secret } of pod.spec.volumes) {
        if (secret !== undefined) expect(Object.keys(await runner.secret(secret.secretName))).not.toEqual([]);
      }
    }
  });

  it('change nothing when the Job runs again', async () => {
    const before = await secretOf('broker-home-0');
    const job = await run('initialise');
    expect(await job.container('initialise').ended(), await job.container('initialise').logs()).toBe(0);
    expect(await secretOf('broker-home-0')).toEqual(before);
  });

  it('become ready under all the restrictions that they have', async () => {
    await run('bus-broker', [8886]);
    await run('activation-broker', [{ inside: 8885, host: ports.activation }]);
    await startHomeBroker();
    for (const service of runnableServices) await run(service, [9090, { inside: 8890, host: ports.door }]);
    for (const service of runnableServices) {
      const running = container(service);
      await untilReady(running).catch(async (error: unknown) => {
        throw new Error(`${service}:\n${(await running.logs()).slice(-3_000)}`, { cause: error });
      });
    }
  });

  it('open the gateways’ door under the name that it has outside, to nobody without a gateway’s certificate', async () => {
    expect(await knock(ports.door, { ca: await ca() })).toEqual({ status: 403, code: 'forbidden' });
    const operator = await secretOf('operator');
    const identity = { cert: operator['services__operator.crt'] ?? '', key: operator['services__operator.key'] ?? '' };
    expect(await knock(ports.door, { ca: await ca(), identity })).toEqual({ status: 403, code: 'forbidden' });
    expect(JSON.parse(operator['platform.json'] ?? '{}').ports.federation).toBe(ports.door);
  });

  it('add a device in 13 steps', async () => {
    const operator = await secretOf('operator');
    const link = tlsLink({
      url: `mqtts://localhost:${container('bus-broker', 'mosquitto').port(8886)}`,
      ca: operator['services-ca.crt'] ?? '',
      cert: operator['services__operator.crt'] ?? '',
      key: operator['services__operator.key'] ?? '',
      clientId: 'operator',
    });
    bus = new Bus(link);
    const manufacturer = await createManufacturer('Acme');
    await bus.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate });
    const address = { homeId: 'home', gatewayId: 'gw' };
    app = { ...address, ...(await bus.call(topicGenerator.createController, address)) };
    expect(new URL(app.url).port).toBe(String(ports.controllers));
    const controller = await connectApp(app);
    const device = await mintDevice(bus, manufacturer, { deviceId: 'lamp-1' });
    // Once what runs beside the activation broker has seen the manufacturer in the database.
    await waitFor(
      async () => {
        const wire = await doors.connectToActivation(device).catch(() => undefined);
        await wire?.close();
        if (wire === undefined) await delay(200);
        return wire !== undefined;
      },
      'the manufacturer is trusted',
      trustTimeoutMs,
    );
    const { topics } = await join(doors, app, controller, device);
    expect(topics).not.toEqual([]);
  });

  it('let in whom the database knows after a broker’s pod was made anew, while nobody else can tell it', async () => {
    await container('topic-generator').kill();
    const snapshot = ['cat', '/mosquitto/config/access/dynamic-security.json'];
    await pods.get('home-broker')?.remove();
    await startHomeBroker();
    const { output } = await container('home-broker', 'mosquitto').exec(snapshot);
    expect(output).toContain('"lamp-1"');
    expect(output).toContain(`"${app.username}"`);
    const controller = await connectApp(app);
    expect(await controller.subscribe(`${app.homeId}/${app.gatewayId}/add_device`)).toBe(true);
  });

  it('leave brokers nothing that they could write but their sessions', async () => {
    const mosquitto = container('home-broker', 'mosquitto');
    for (const path of ['/mosquitto/config/x', '/mosquitto/config/access/x', '/etc/x', '/x']) {
      expect((await mosquitto.exec(['touch', path])).code, path).not.toBe(0);
    }
    expect((await mosquitto.exec(['touch', '/mosquitto/data/x'])).code).toBe(0);
    const access = container('home-broker', 'access');
    expect((await access.exec(['ls', '/mosquitto/config'])).output.trim()).toBe('access');
  });
});

async function speaksTls(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    return true;
  } catch {
    await delay(50);
    return false;
  } finally {
    socket.destroy();
  }
}
