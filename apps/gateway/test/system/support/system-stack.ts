import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import type { RunnableService } from '@mqtt2go/config';
import { runnableServices } from '@mqtt2go/config';
import { Bus, discovery, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import {
  createNetwork,
  createVolume,
  injectedImages,
  type PostgresContainer,
  type RunningContainer,
  startContainer,
  startPostgres,
  startService,
  type TestNetwork,
  type TestVolume,
  waitFor,
} from '@mqtt2go/testing';
import pg from 'pg';
import type { Doors } from '../../support/joining.js';
import { readiness } from '../../support/separate-processes.js';
import { Wire } from '../../support/wire.js';
import {
  type AppCredentials,
  createManufacturer,
  type Identity,
  type MintedDevice,
  mintDevice,
} from '../../support/world.js';
import { Balancer } from './balancer.js';
import { type BrokerName, Deployment, insidePorts } from './deployment.js';

const healthPort = 9090;
const busPort = 8886;
/** Mosquitto's lines about each connection, and about the snapshot that it is not to write. */
const isNoise = /New connection|New client connected|negotiated TLS|OpenSSL Error|Error saving Dynamic|disconnected/;

export interface StackOptions {
  /** Processes of each service; 1 unless set. */
  readonly replicas?: number;
  /** 2 unless set. */
  readonly homeBrokers?: number;
  /** Whether the home brokers are for homes with gateways of their own; not unless set. */
  readonly gateways?: boolean;
}

/**
 * The whole platform in containers: PostgreSQL, a Mosquitto for each home shard, for the activation and for the bus, and
 * the services from their images. What the public may reach is published on this machine, the gateways' door as one port
 * before all its processes; the rest is in a network of the services' own, apart from the bus, which the tests come to as
 * the operator.
 */
export class SystemStack implements Doors {
  readonly brokers = new Map<BrokerName, RunningContainer>();
  readonly services = new Map<RunnableService, RunningContainer[]>();
  private readonly wires: Wire[] = [];
  private bus: Bus | undefined;
  private door: Balancer | undefined;
  private count = 0;

  private constructor(
    readonly deployment: Deployment,
    /** Services, database and the brokers' doors for services. */
    readonly inside: TestNetwork,
    /** Where the brokers' published ports lead in; of no use for services. */
    readonly outside: TestNetwork,
    readonly disk: TestVolume,
    readonly diskHolder: RunningContainer,
    readonly postgres: PostgresContainer,
    private readonly manufacturer: Authority,
    private readonly replicas: number,
  ) {}

  static async start({ replicas = 1, homeBrokers = 2, gateways = false }: StackOptions = {}): Promise<SystemStack> {
    const deployment = await Deployment.create(homeBrokers, gateways);
    const [inside, outside, disk] = await Promise.all([
      createNetwork(),
      createNetwork(),
      createVolume({ megabytes: 384 }),
    ]);
    const diskHolder = await startContainer({
      image: injectedImages().bases.postgres,
      name: 'disk',
      entrypoint: ['sleep', 'infinity'],
      user: 'postgres',
      mounts: [{ source: disk.name, target: '/var/lib/postgresql' }],
    });
    const postgres = await startPostgres({
      networks: [inside, outside],
      aliases: ['postgres'],
      volume: disk,
      settings: { max_wal_size: '64MB', min_wal_size: '32MB', shared_buffers: '32MB', max_connections: '120' },
    });
    const manufacturer = await createManufacturer('Acme');
    const stack = new SystemStack(deployment, inside, outside, disk, diskHolder, postgres, manufacturer, replicas);
    try {
      await deployment.initialise(postgres.urlInside, inside);
      await Promise.all(deployment.brokers.map((name) => stack.startBroker(name)));
      await Promise.all(runnableServices.map((service) => stack.startReplicas(service)));
      const doors = stack.service('federation').map((container) => container.port(insidePorts.door));
      stack.door = await Balancer.listen('127.0.0.1', deployment.doorPort, doors);
      await stack.allReady();
      const operator = await stack.operator();
      await operator.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate });
    } catch (error) {
      process.stderr.write(`${await stack.tailOfLogs()}\n`);
      // What is still being started cannot be removed yet; it goes with the run.
      await stack.close().catch(() => undefined);
      throw error;
    }
    return stack;
  }

  broker(name: BrokerName): RunningContainer {
    const broker = this.brokers.get(name);
    if (broker === undefined) throw new Error(`there is no broker ${name}`);
    return broker;
  }

  /** All replicas. */
  service(name: RunnableService): RunningContainer[] {
    return this.services.get(name) ?? [];
  }

  async startBroker(name: BrokerName): Promise<void> {
    const container = await startContainer({
      image: injectedImages().bases.mosquitto,
      name,
      user: this.deployment.user,
      readOnly: true,
      networks: [this.inside, this.outside],
      aliases: [name],
      mounts: this.deployment.brokerMounts(name),
      tmpfs: { '/tmp': '', '/mosquitto/log': 'mode=1777' },
      ports: this.publishedPorts(name),
    });
    this.brokers.set(name, container);
    await this.untilListening(name, container);
  }

  /** Starts a broker that was killed. */
  async startedAgain(name: BrokerName): Promise<void> {
    const container = this.broker(name);
    await container.start();
    await this.untilListening(name, container);
  }

  private async untilListening(name: BrokerName, container: RunningContainer): Promise<void> {
    const [published] = this.publishedPorts(name);
    const port = container.port(typeof published === 'number' ? published : (published?.inside ?? 0));
    await waitFor(() => speaksTls(port), `${container.name} listens`, 30_000);
  }

  private publishedPorts(name: BrokerName) {
    if (name === 'bus') return [busPort];
    if (name === 'activation') return [{ inside: insidePorts.activation, host: this.deployment.activationPort }];
    const ports = this.deployment.homes.get(name);
    if (ports === undefined) return [];
    return [
      { inside: insidePorts.devices, host: ports.devices },
      { inside: insidePorts.controllers, host: ports.controllers },
      { inside: insidePorts.controllersWss, host: ports.controllersWss },
    ];
  }

  private async startReplicas(service: RunnableService): Promise<void> {
    const started = await Promise.all(
      Array.from({ length: this.replicas }, (_, index) => this.startReplica(service, `${service}-${index}`)),
    );
    this.services.set(service, started);
  }

  /** Not yet ready, unless waited for with {@link allReady}. */
  async startReplica(
    service: RunnableService,
    replica: string,
    databaseUrl = this.postgres.urlInside,
  ): Promise<RunningContainer> {
    return startService(service, {
      user: this.deployment.user,
      networks: [this.inside],
      aliases: [service],
      ports: service === 'federation' ? [healthPort, insidePorts.door] : [healthPort],
      ready: undefined,
      mounts: this.deployment.serviceMounts(service),
      env: {
        ...this.deployment.env(databaseUrl),
        MQTT2GO_TLS_DIR: '/deployment',
        MQTT2GO_BIND: '0.0.0.0',
        MQTT2GO_HEALTH_BIND: '0.0.0.0',
        MQTT2GO_DISCOVERY_URL: 'https://discovery:8443',
        MQTT2GO_REPLICA: replica,
        MQTT2GO_REPLICAS: String(this.replicas),
      },
    });
  }

  get allServices(): RunningContainer[] {
    return [...this.services.values()].flat();
  }

  /** Resolves when every process says so at /health/ready. */
  async allReady(): Promise<void> {
    await Promise.all(this.allServices.map((container) => untilReady(container)));
  }

  /** What the operator may ask. */
  async operator(): Promise<Bus> {
    const read = (...path: string[]): Promise<string> => this.deployment.read('operator', ...path);
    this.bus ??= new Bus(
      tlsLink({
        url: `mqtts://localhost:${this.broker('bus').port(busPort)}`,
        ca: await read('services-ca.crt'),
        cert: await read('services', 'operator.crt'),
        key: await read('services', 'operator.key'),
        clientId: 'operator',
      }),
    );
    return this.bus;
  }

  /** A device as its manufacturer makes it, known to the factory registry. */
  async mint(options: { keyMode?: KeyMode; type?: string } = {}): Promise<MintedDevice> {
    this.count += 1;
    const deviceId = `device-${this.count}`;
    return mintDevice(await this.operator(), this.manufacturer, { deviceId, ...options });
  }

  /** An app of a new home, or of the one that is named. */
  async app(homeId = this.nextHome(), gatewayId = 'gw'): Promise<AppCredentials> {
    const made = await (await this.operator()).call(topicGenerator.createController, { homeId, gatewayId });
    return { homeId, gatewayId, ...made };
  }

  private nextHome(): string {
    this.count += 1;
    return `home-of-${this.count}`;
  }

  ca(): Promise<string> {
    return this.deployment.read('operator', 'ca.crt');
  }

  /** The shard that a controller was sent to. */
  shardOf({ url }: AppCredentials): BrokerName {
    const port = Number(new URL(url).port);
    for (const [name, { controllers }] of this.deployment.homes) if (controllers === port) return name;
    throw new Error(`no shard is at ${url}`);
  }

  async connectApp({ url, username, password }: Omit<AppCredentials, 'homeId' | 'gatewayId'>): Promise<Wire> {
    return this.keep(await Wire.connect(url, { ca: await this.ca(), username, password }));
  }

  async connectToActivation({ cert, key, deviceId }: Identity & { deviceId?: string }): Promise<Wire> {
    return this.connect(this.deployment.activationPort, { cert, key, ...(deviceId && { clientId: deviceId }) });
  }

  async connectHome(
    { cert, key, deviceId }: Identity & { deviceId?: string },
    at = 'localhost',
    port = this.deployment.homes.get('home-0')?.devices ?? 0,
  ): Promise<Wire> {
    return this.connect(port, { cert, key, ...(deviceId && { clientId: deviceId }) }, at);
  }

  /** Whoever comes with whatever to a published port. */
  async connect(
    port: number,
    options: { cert?: string; key?: string; clientId?: string; username?: string; password?: string; ca?: string },
    host = 'localhost',
  ): Promise<Wire> {
    return this.keep(await Wire.connect(`mqtts://${host}:${port}`, { ca: await this.ca(), ...options }));
  }

  /** Rows of the platform's database. */
  async query<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.postgres.url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(sql, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** The last lines of everybody, for people who look for what went wrong. */
  async tailOfLogs(lines = 25): Promise<string> {
    const all = [this.postgres.container, ...this.brokers.values(), ...this.allServices];
    const tails = await Promise.all(
      all.map(async (container) => {
        const log = await container.logs().catch((error: unknown) => String(error));
        const said = log
          .trimEnd()
          .split('\n')
          .filter((line) => !isNoise.test(line));
        return `--- ${container.name}\n${said.slice(-lines).join('\n')}`;
      }),
    );
    return tails.join('\n');
  }

  /** Ends the tests' own connections. */
  async closeWires(): Promise<void> {
    await Promise.all(this.wires.splice(0).map((wire) => wire.close()));
  }

  async close(): Promise<void> {
    await this.closeWires();
    await this.bus?.close();
    await this.door?.close();
    const containers = [...this.allServices, ...this.brokers.values(), this.postgres.container, this.diskHolder];
    await Promise.all(containers.map((container) => container.remove().catch(() => undefined)));
    await Promise.all([this.inside.remove(), this.outside.remove(), this.disk.remove()]);
    await this.deployment.remove();
  }

  private keep(wire: Wire): Wire {
    this.wires.push(wire);
    return wire;
  }
}

/** Mosquitto's log says nothing of a start that went well. */
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

/** Resolves when the service says so at /health/ready. */
export async function untilReady(container: RunningContainer, timeoutMs = 60_000): Promise<void> {
  const port = container.port(healthPort);
  const isReady = async (): Promise<boolean> => {
    const answer = await readiness(port).catch(() => undefined);
    if (answer?.http !== 200) {
      if (!(await container.isRunning())) throw new Error(`${container.name} has ended`);
      await delay(100);
    }
    return answer?.http === 200;
  };
  await waitFor(isReady, `${container.name} is ready`, timeoutMs);
}
