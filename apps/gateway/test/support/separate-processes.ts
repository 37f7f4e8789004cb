import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { anyPorts, type RunnableService, runnableServices } from '@mqtt2go/config';
import { Bus, discovery, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { freePorts } from './gateway-process.js';
import type { Doors } from './joining.js';
import { databasePid, Program } from './program.js';
import { Wire } from './wire.js';
import { type AppCredentials, createManufacturer, type Identity, type MintedDevice, mintDevice } from './world.js';

export interface Readiness {
  readonly http: number;
  readonly dependencies: Readonly<Record<string, { status: string; reason?: string }>>;
}

/** The platform in six processes: brokers and database in one, each service in one of its own. */
export class SeparateProcesses implements Doors {
  readonly services = new Map<RunnableService, Program>();
  infrastructure: Program | undefined;
  private readonly wires: Wire[] = [];
  private count = 0;

  private constructor(
    readonly dataDir: string,
    readonly ports: Readonly<Record<string, string>>,
    readonly healthPorts: Readonly<Record<RunnableService, number>>,
    readonly manufacturer: Authority,
  ) {}

  static async create(): Promise<SeparateProcesses> {
    const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-processes-'));
    // All at once, so that none is given twice.
    const ports = await freePorts([...Object.keys(anyPorts), ...runnableServices]);
    const port = (service: RunnableService): number => Number(ports[service]);
    const healthPorts = {
      'certificate-authority': port('certificate-authority'),
      'topic-generator': port('topic-generator'),
      discovery: port('discovery'),
      provisioning: port('provisioning'),
      federation: port('federation'),
    };
    return new SeparateProcesses(dataDir, ports, healthPorts, await createManufacturer('Acme'));
  }

  /** Starts all of them, services with `env` besides, and makes the manufacturer of the tests' devices known. */
  async start(env: Record<string, string> = {}): Promise<void> {
    await this.startInfrastructure();
    for (const service of runnableServices) this.startService(service, env);
    await this.allReady();
    const bus = await this.operator();
    await bus.call(discovery.registerManufacturer, { name: 'Acme', certificate: this.manufacturer.certificate });
    await bus.close();
  }

  async startInfrastructure(): Promise<void> {
    const env = { ...this.ports, MQTT2GO_DATA_DIR: this.dataDir, MQTT2GO_SERVICES: 'none', MQTT2GO_LOG_FORMAT: 'json' };
    this.infrastructure = Program.start('gateway', env);
    await this.infrastructure.says((line) => line.includes('"msg":"ready"'));
  }

  startService(service: RunnableService, env: Record<string, string> = {}): Program {
    const port = String(this.healthPorts[service]);
    const program = Program.start(service, { MQTT2GO_HEALTH_PORT: port, ...env }, join(this.dataDir, 'services.env'));
    this.services.set(service, program);
    return program;
  }

  service(name: RunnableService): Program {
    const program = this.services.get(name);
    if (program === undefined) throw new Error(`${name} was not started`);
    return program;
  }

  /** Resolves when all of them say so at /health/ready. */
  async allReady(): Promise<void> {
    const ports = [Number(this.ports.MQTT2GO_HEALTH_PORT), ...Object.values(this.healthPorts)];
    await Promise.all(ports.map((port) => this.untilReady(port)));
  }

  async untilReady(port: number): Promise<void> {
    for (let tries = 600; tries > 0; tries -= 1) {
      const state = await readiness(port).catch(() => undefined);
      if (state?.http === 200) return;
      await setTimeout(100);
    }
    throw new Error(`nothing became ready at port ${port}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.wires.map((wire) => wire.close()));
    await Promise.all([...this.services.values()].map((service) => service.end()));
    await this.infrastructure?.end();
    // Of an infrastructure that was killed and not started again.
    const pid = await databasePid(this.dataDir);
    if (pid !== undefined) process.kill(pid, 'SIGINT');
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** What the operator may ask; the caller's to close. */
  async operator(): Promise<Bus> {
    const read = (...path: string[]): Promise<string> => readFile(join(this.dataDir, 'tls', ...path), 'utf8');
    return new Bus(
      tlsLink({
        url: `mqtts://127.0.0.1:${this.ports.MQTT2GO_BUS_PORT}`,
        ca: await read('services-ca.crt'),
        cert: await read('services', 'operator.crt'),
        key: await read('services', 'operator.key'),
        clientId: 'operator',
      }),
    );
  }

  /** A new device, and an app of a new home. */
  async prepare(keyMode: KeyMode = 'existing-key'): Promise<{ device: MintedDevice; app: AppCredentials }> {
    this.count += 1;
    const bus = await this.operator();
    const device = await mintDevice(bus, this.manufacturer, { deviceId: `device-${this.count}`, keyMode });
    const place = { homeId: `home-${this.count}`, gatewayId: 'gw' };
    const made = await bus.call(topicGenerator.createController, place);
    await bus.close();
    return { device, app: { ...place, ...made } };
  }

  ca(): Promise<string> {
    return readFile(join(this.dataDir, 'tls', 'ca.crt'), 'utf8');
  }

  async connectApp({ url, username, password }: AppCredentials): Promise<Wire> {
    return this.keep(await Wire.connect(url, { ca: await this.ca(), username, password }));
  }

  async connectToActivation({ cert, key, deviceId }: Identity & { deviceId?: string }): Promise<Wire> {
    const url = `mqtts://localhost:${this.ports.MQTT2GO_ACTIVATION_PORT}`;
    return this.keep(
      await Wire.connect(url, { ca: await this.ca(), cert, key, ...(deviceId && { clientId: deviceId }) }),
    );
  }

  async connectHome(
    { cert, key, deviceId }: Identity & { deviceId?: string },
    at = 'localhost',
    port?: number,
  ): Promise<Wire> {
    const url = `mqtts://${at}:${port ?? this.ports.MQTT2GO_HOME_PORT}`;
    return this.keep(
      await Wire.connect(url, { ca: await this.ca(), cert, key, ...(deviceId && { clientId: deviceId }) }),
    );
  }

  private keep(wire: Wire): Wire {
    this.wires.push(wire);
    return wire;
  }
}

/** What the service behind a health port says of itself. */
export async function readiness(port: number): Promise<Readiness> {
  const response = await fetch(`http://127.0.0.1:${port}/health/ready`);
  const body = (await response.json()) as {
    services: { dependencies: { name: string; status: string; reason?: string }[] }[];
  };
  const all = body.services.flatMap(({ dependencies }) => dependencies);
  return { http: response.status, dependencies: Object.fromEntries(all.map(({ name, ...rest }) => [name, rest])) };
}
