import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anyPorts, loadConfig, type PlatformConfig } from '@mqtt2go/config';
import { Bus, discovery, federation, type InvitationFile, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import { createLogger } from '@mqtt2go/runtime';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import { type Platform, startPlatform } from '../../src/index.js';
import { freePorts } from './gateway-process.js';
import { Internet } from './internet.js';
import { Wire } from './wire.js';
import { type AppCredentials, createManufacturer, mintDevice, type MintedDevice } from './world.js';

/** Where houses reach the cloud; it listens at 127.0.0.1 itself. */
const cloudHost = '127.0.0.2';

const log = process.env.TEST_LOG ? createLogger({ level: 'debug', format: 'json' }) : silentLogger;

/** The file of an invitation, as `MQTT2GO_INVITATION` names it. */
export async function writeInvitation(invitation: InvitationFile): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'mqtt2go-invitation-')), 'invitation.json');
  await writeFile(file, JSON.stringify(invitation), { mode: 0o600 });
  return file;
}

/** One platform with a data folder and a database of its own. */
export class Node {
  platform: Pick<Platform, 'file' | 'stop'> | undefined;
  private operatorBus: Bus | undefined;
  private readonly wires: Wire[] = [];

  private constructor(
    readonly dataDir: string,
    readonly database: TestDatabase,
    private config: PlatformConfig,
  ) {}

  static async create(env: Readonly<Record<string, string>>): Promise<Node> {
    const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-node-'));
    const database = await createTestDatabase();
    const config = loadConfig({ ...env, MQTT2GO_DATA_DIR: dataDir, DATABASE_URL: database.url });
    return new Node(dataDir, database, config);
  }

  /** From the next start on. */
  async configure({ invitation }: { invitation: InvitationFile }): Promise<void> {
    this.config = { ...this.config, invitation: await writeInvitation(invitation) };
  }

  async start(): Promise<void> {
    this.platform = await startPlatform(this.config, log);
  }

  /** The platform runs elsewhere. */
  attach(file: Platform['file']): void {
    this.platform = { file, stop: async () => undefined };
  }

  async stop(): Promise<void> {
    await Promise.all(this.wires.splice(0).map((wire) => wire.close()));
    await this.operatorBus?.close();
    this.operatorBus = undefined;
    await this.platform?.stop();
    this.platform = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.database.drop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  get file(): Platform['file'] {
    if (this.platform === undefined) throw new Error('not started');
    return this.platform.file;
  }

  read(...path: string[]): Promise<string> {
    return readFile(join(this.dataDir, 'tls', ...path), 'utf8');
  }

  async busAs(service: string): Promise<Bus> {
    const [ca, cert, key] = await Promise.all([
      this.read('services-ca.crt'),
      this.read('services', `${service}.crt`),
      this.read('services', `${service}.key`),
    ]);
    return new Bus(tlsLink({ url: this.file.busUrl, ca, cert, key, clientId: service }));
  }

  async operator(): Promise<Bus> {
    this.operatorBus ??= await this.busAs('operator');
    return this.operatorBus;
  }

  async app(homeId: string, gatewayId: string, role?: 'guest'): Promise<AppCredentials> {
    const bus = await this.operator();
    const made = await bus.call(topicGenerator.createController, { homeId, gatewayId, ...(role && { role }) });
    return { homeId, gatewayId, ...made };
  }

  /** Connects to the home broker. */
  async connect(options: Parameters<typeof Wire.connect>[1]): Promise<Wire> {
    const ca = await this.read('ca.crt');
    const wire = await Wire.connect(`mqtts://localhost:${this.file.ports.home}`, { ca, ...options });
    this.wires.push(wire);
    return wire;
  }

  async connectApp({ username, password }: AppCredentials, options: object = {}): Promise<Wire> {
    return this.connect({ username, password, ...options });
  }

  async connectHome({ cert, key, deviceId }: { cert: string; key: string; deviceId?: string }): Promise<Wire> {
    return this.connect({ cert, key, ...(deviceId && { clientId: deviceId }) });
  }

  async connectToActivation({ cert, key, deviceId }: { cert: string; key: string; deviceId?: string }): Promise<Wire> {
    const ca = await this.read('ca.crt');
    const url = `mqtts://localhost:${this.file.ports.activation}`;
    const wire = await Wire.connect(url, { ca, cert, key, ...(deviceId && { clientId: deviceId }) });
    this.wires.push(wire);
    return wire;
  }
}

/** A cloud and gateways in houses, with an internet between them. */
export class FederationStand {
  private readonly nodes: Node[] = [];

  private constructor(
    readonly cloud: Node,
    readonly internet: Internet,
    readonly manufacturer: Authority,
  ) {}

  static async create(): Promise<FederationStand> {
    const ports = await freePorts();
    const cloud = await Node.create({ ...ports, MQTT2GO_PUBLIC_HOST: cloudHost });
    await cloud.start();
    const open = [ports.MQTT2GO_HOME_PORT, ports.MQTT2GO_FEDERATION_PORT].map(Number);
    const internet = await Internet.open(open, cloudHost, '127.0.0.1');
    const manufacturer = await createManufacturer('Acme');
    const bus = await cloud.operator();
    await bus.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate });
    return new FederationStand(cloud, internet, manufacturer);
  }

  async invite(homeId: string, gatewayId = 'gw'): Promise<InvitationFile> {
    return (await this.cloud.operator()).call(federation.inviteGateway, { homeId, gatewayId });
  }

  /** A gateway that has an invitation and has not been started. */
  async gateway(invitation: InvitationFile | undefined, env: Record<string, string> = {}): Promise<Node> {
    const node = await Node.create({
      ...anyPorts,
      MQTT2GO_PROFILE: 'local-gateway',
      ...(invitation !== undefined && { MQTT2GO_INVITATION: await writeInvitation(invitation) }),
      ...env,
    });
    this.nodes.push(node);
    return node;
  }

  /** A device that the factory registry of this platform knows. */
  async mint(node: Node, deviceId: string): Promise<MintedDevice> {
    return mintDevice(await node.operator(), this.manufacturer, { deviceId });
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
    await this.internet.close();
    await this.cloud.close();
  }
}
