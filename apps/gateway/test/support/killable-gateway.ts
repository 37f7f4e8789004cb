import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Controller } from '@mqtt2go/controller-sdk';
import { Device, type DeviceOptions } from '@mqtt2go/device-sdk';
import { type Bus, discovery, provisioning, topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { storeOf } from './device-store.js';
import { bundleProgram, freePorts, type Started, startProgram, stopProgram } from './gateway-process.js';
import { operatorBus } from './operator-bus.js';
import { type AppCredentials, createManufacturer, type MintedDevice, mintDevice } from './world.js';

/** The states of an onboarding. Each is stored, and then a process with `STOP_AT` is gone before it does anything else. */
export const statesToStopAt = ['requested', 'certified', 'announced', 'claimed', 'awaiting-name', 'active'] as const;

/** A device that is being added: its controller asks, and it lives, until {@link close}. */
export interface Adding {
  readonly device: Device;
  readonly controller: Controller;
  /** Resolves when the controller is told that it has its name. */
  readonly added: Promise<unknown>;
  /** Resolves with its topics. */
  readonly isActive: Promise<readonly string[]>;
  close(): Promise<void>;
}

/** A gateway that is killed and started again: its folder, its ports, and a manufacturer that it knows. */
export class KillableGateway {
  private running: Started | undefined;

  private constructor(
    private readonly program: string,
    private readonly dataDir: string,
    readonly ports: Readonly<Record<string, string>>,
    private readonly env: Readonly<Record<string, string>>,
    private readonly manufacturer: Authority,
  ) {}

  /** Has run once, and does not run. */
  static async create(env: Readonly<Record<string, string>> = {}): Promise<KillableGateway> {
    const program = await bundleProgram('stopping-gateway', 'stopping-gateway.ts');
    const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-killed-'));
    const manufacturer = await createManufacturer('Acme');
    const gateway = new KillableGateway(program, dataDir, await freePorts(), env, manufacturer);
    await gateway.start();
    await gateway.asOperator((bus) =>
      bus.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate }),
    );
    await gateway.stop();
    return gateway;
  }

  /** Resolves when it is ready. @param stopAt the state of an onboarding at which it kills itself */
  async start(stopAt = ''): Promise<Started> {
    const env = { ...this.ports, ...this.env, MQTT2GO_DATA_DIR: this.dataDir, STOP_AT: stopAt };
    this.running = await startProgram(this.program, env);
    return this.running;
  }

  async kill(): Promise<void> {
    this.running?.child.kill('SIGKILL');
    await this.running?.ended;
  }

  async stop(): Promise<void> {
    if (this.running) await stopProgram(this.running);
    this.running = undefined;
  }

  async asOperator<T>(work: (bus: Bus) => Promise<T>): Promise<T> {
    const bus = await operatorBus(this.dataDir, this.ports);
    try {
      return await work(bus);
    } finally {
      await bus.close();
    }
  }

  mint(options: { deviceId: string; keyMode?: KeyMode }): Promise<MintedDevice> {
    return this.asOperator((bus) => mintDevice(bus, this.manufacturer, options));
  }

  /** Makes a home, with a Wi-Fi that is called Ours. */
  open(homeId: string): Promise<AppCredentials> {
    const place = { homeId, gatewayId: 'gw' };
    return this.asOperator(async (bus) => {
      const made = await bus.call(topicGenerator.createController, place);
      await bus.call(provisioning.setWifi, { ...place, ssid: 'Ours', password: 'correct horse' });
      return { ...place, ...made };
    });
  }

  /** @param discoveryPort where the device finds a Discovery server */
  async add(
    app: AppCredentials,
    made: MintedDevice,
    discoveryPort: number,
    options: DeviceOptions = {},
    keyMode: KeyMode = 'existing-key',
  ): Promise<Adding> {
    const ca = await readFile(join(this.dataDir, 'tls', 'ca.crt'), 'utf8');
    const { deviceId, code: activationCode } = made;
    const device = new Device(storeOf(made, ca, discoveryPort, keyMode), {
      ...options,
      times: { backOff: { minMs: 100, maxMs: 1_000 }, answerTimeoutMs: 2_000, askAgainMs: 2_000 },
    });
    const controller = new Controller({ ...app, ca, repeatMs: 2_000 });
    const isActive = new Promise<readonly string[]>((resolve) => device.once('active', resolve));
    await controller.connect();
    const lives = device.run();
    lives.catch(() => undefined);
    const added = controller.addDevice({ deviceId, activationCode, naming: { name: 'Lamp', groupIds: ['living'] } });
    // Who closes before the end does not wait for it.
    added.catch(() => undefined);
    const close = async (): Promise<void> => {
      await controller.close();
      await device.stop();
      await lives.catch(() => undefined);
    };
    return { device, controller, added, isActive, close };
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.dataDir, { recursive: true, force: true });
    await rm(dirname(this.program), { recursive: true, force: true });
  }
}
