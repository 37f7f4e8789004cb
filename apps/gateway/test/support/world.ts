import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anyPorts, loadConfig, type PlatformConfig } from '@mqtt2go/config';
import { Bus, discovery, provisioning, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import {
  Authority,
  createCertificateRequest,
  generateKeys,
  type KeyPair,
  writePrivateKey,
  writePublicKey,
} from '@mqtt2go/pki';
import type { Clock } from '@mqtt2go/ports';
import type { KeyMode } from '@mqtt2go/protocol';
import { createLogger } from '@mqtt2go/runtime';
import { createTestDatabase, silentLogger, type TestDatabase } from '@mqtt2go/testing';
import { type Platform, type PlatformOptions, startPlatform } from '../../src/index.js';
import { Wire } from './wire.js';

/** What a manufacturer has made: a device and its label. */
export interface MintedDevice {
  readonly deviceId: string;
  readonly code: string;
  readonly type: string;
  readonly keys: KeyPair;
  /** PEM, with the manufacturer's. */
  readonly cert: string;
  readonly key: string;
}

export interface AppCredentials {
  readonly homeId: string;
  readonly gatewayId: string;
  readonly username: string;
  readonly password: string;
  readonly url: string;
}

export interface Identity {
  readonly cert: string;
  readonly key: string;
}

export interface WorldOptions extends PlatformOptions {
  /** Variables besides the ports, the data folder and the database. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The platform under test in this process, on free ports and a database of its own, with all that stands around it. */
export class World {
  private readonly wires: Wire[] = [];
  private operatorBus: Bus | undefined;
  private count = 0;

  private constructor(
    public dataDir: string,
    private database: TestDatabase,
    public options: WorldOptions,
    readonly manufacturer: Authority,
    public platform: Platform,
    public ca: string,
    private readonly changes: Partial<PlatformConfig>,
  ) {}

  static async create(
    options: WorldOptions = {},
    given?: TestDatabase,
    changes: Partial<PlatformConfig> = {},
  ): Promise<World> {
    const dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-world-'));
    const database = given ?? (await createTestDatabase());
    const manufacturer = await createManufacturer('Acme');
    const platform = await start(dataDir, database, options, {}, changes);
    const ca = await readFile(join(dataDir, 'tls', 'ca.crt'), 'utf8');
    const world = new World(dataDir, database, options, manufacturer, platform, ca, changes);
    await world.trust(manufacturer);
    return world;
  }

  /** Stops the platform and starts it again on the same state; ports change. */
  async restart(options: PlatformOptions = this.options): Promise<void> {
    await this.halt();
    await this.resume(options, {});
  }

  /** Starts what was halted, on the ports that it had or on others. */
  async resume(options = this.options, ports: Ports = this.platform.file.ports): Promise<void> {
    this.options = options;
    this.platform = await start(this.dataDir, this.database, this.options, ports, this.changes);
    this.ca = await readFile(join(this.dataDir, 'tls', 'ca.crt'), 'utf8');
    await this.serviceIdentity('operator');
  }

  /** Stops the platform; {@link restart} goes on from there. */
  async halt(): Promise<void> {
    await this.closeClients();
    await this.platform.stop();
  }

  get databaseUrl(): string {
    return this.database.url;
  }

  /** Stops the platform for good. What is left of it is its database. */
  async lose(): Promise<Buffer> {
    await this.closeClients();
    await this.platform.stop();
    const key = await readFile(join(this.dataDir, 'secrets', 'encryption.key'));
    await rm(this.dataDir, { recursive: true, force: true });
    return key;
  }

  /** Starts the platform anew, of nothing but a database and the encryption key. */
  async startFrom(database: TestDatabase, key: Buffer): Promise<void> {
    this.dataDir = await mkdtemp(join(tmpdir(), 'mqtt2go-world-'));
    this.database = database;
    await mkdir(join(this.dataDir, 'secrets'), { recursive: true, mode: 0o700 });
    await writeFile(join(this.dataDir, 'secrets', 'encryption.key'), key, { mode: 0o600 });
    this.platform = await start(this.dataDir, database, this.options);
    this.ca = await readFile(join(this.dataDir, 'tls', 'ca.crt'), 'utf8');
    await this.serviceIdentity('operator');
  }

  async close(): Promise<void> {
    await this.closeClients();
    await this.platform.stop();
    await this.database.drop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** What only the operator may ask. */
  get operator(): Bus {
    this.operatorBus ??= this.busAs('operator');
    return this.operatorBus;
  }
  private readonly serviceFiles = new Map<string, { ca: string; cert: string; key: string }>();

  /** The certificate of one of the platform's services, as its files have it. */
  async serviceIdentity(name: string): Promise<{ ca: string } & Identity> {
    const read = (...path: string[]): Promise<string> => readFile(join(this.dataDir, 'tls', ...path), 'utf8');
    const identity = {
      ca: await read('services-ca.crt'),
      cert: await read('services', `${name}.crt`),
      key: await read('services', `${name}.key`),
    };
    this.serviceFiles.set(name, identity);
    return identity;
  }

  /** The bus as one of the services has it; its certificate is in the data folder. The caller's to close. */
  async service(name: string): Promise<Bus> {
    await this.serviceIdentity(name);
    return this.busAs(name);
  }

  private busAs(name: string): Bus {
    const identity = this.serviceFiles.get(name);
    if (identity === undefined) throw new Error(`serviceIdentity('${name}') was not read`);
    return new Bus(tlsLink({ url: this.platform.file.busUrl, ...identity, clientId: name }));
  }

  async trust(manufacturer: Authority): Promise<void> {
    await this.serviceIdentity('operator');
    await this.operator.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate });
  }

  nextId(prefix: string): string {
    this.count += 1;
    return `${prefix}-${this.count}-${randomBytes(3).toString('hex')}`;
  }

  /** A device as its manufacturer makes it, known to the factory registry. */
  async mint(options: { keyMode?: KeyMode; type?: string; deviceId?: string } = {}): Promise<MintedDevice> {
    return mintDevice(this.operator, this.manufacturer, { deviceId: this.nextId('device'), ...options });
  }

  /** Credentials of a controller of a (new) home. */
  async app(homeId = this.nextId('home'), gatewayId = this.nextId('gw')): Promise<AppCredentials> {
    const made = await this.operator.call(topicGenerator.createController, { homeId, gatewayId });
    return { homeId, gatewayId, ...made };
  }

  /** Connects as a controller. */
  async connectApp(app: { username: string; password: string }): Promise<Wire> {
    return this.keep(
      await Wire.connect(`mqtts://localhost:${this.platform.file.ports.home}`, {
        ca: this.ca,
        username: app.username,
        password: app.password,
      }),
    );
  }

  /** Connects to the activation broker with a device's pre-loaded certificate. */
  async connectToActivation(device: Identity & { deviceId?: string }): Promise<Wire> {
    const { cert, key, deviceId } = device;
    const url = `mqtts://localhost:${this.platform.file.ports.activation}`;
    return this.keep(await Wire.connect(url, { ca: this.ca, cert, key, ...(deviceId && { clientId: deviceId }) }));
  }

  /** Connects with an initialization account, as a device without a certificate does where there is a gateway in the house. */
  async connectByAccount({ deviceId, code }: { deviceId: string; code: string }): Promise<Wire> {
    const url = `mqtts://localhost:${this.platform.file.ports.home}`;
    return this.keep(await Wire.connect(url, { ca: this.ca, username: deviceId, password: code, clientId: deviceId }));
  }

  /** Connects to the home broker with a device's operational certificate. */
  async connectHome(
    device: Identity & { deviceId?: string; ca?: string },
    at = `localhost`,
    port?: number,
  ): Promise<Wire> {
    const { cert, key, deviceId, ca = this.ca } = device;
    const url = `mqtts://${at}:${port ?? this.platform.file.ports.home}`;
    return this.keep(await Wire.connect(url, { ca, cert, key, ...(deviceId && { clientId: deviceId }) }));
  }

  /** A request of the device for a key of its own. */
  csr(deviceId: string, keys: KeyPair): string {
    return createCertificateRequest({ deviceId, keys });
  }

  private keep(wire: Wire): Wire {
    this.wires.push(wire);
    return wire;
  }

  private async closeClients(): Promise<void> {
    await Promise.all(this.wires.splice(0).map((wire) => wire.close()));
    await this.operatorBus?.close();
    this.operatorBus = undefined;
  }
}

/** Makes a device and tells the factory registry of it. */
export async function mintDevice(
  operator: Bus,
  manufacturer: Authority,
  options: { deviceId: string; keyMode?: KeyMode; type?: string; nowMs?: number },
): Promise<MintedDevice> {
  const { deviceId, keyMode = 'existing-key', type = 'socket', nowMs = Date.now() } = options;
  const keys = await generateKeys();
  const cert = manufacturer.issuePreloadedDevice({ deviceId, publicKey: keys.publicKey, nowMs });
  const code = randomBytes(8).toString('hex');
  const record = {
    device_id: deviceId,
    activation_code: code,
    device_type: type,
    key_mode: keyMode,
    public_key: writePublicKey(keys.publicKey),
  };
  const { rejected } = await operator.call(provisioning.importFactoryRecords, { records: [record] });
  if (rejected.length > 0) throw new Error(JSON.stringify(rejected));
  return { deviceId, code, type, keys, cert: manufacturer.withChain(cert.pem), key: writePrivateKey(keys.privateKey) };
}

export async function createManufacturer(name: string, nowMs = Date.now()): Promise<Authority> {
  return Authority.createRoot({
    commonName: `${name} Device CA`,
    keys: await generateKeys(),
    pathLength: 0,
    validityMs: 3650 * 86_400_000,
    nowMs,
  });
}

type Ports = Partial<Platform['file']['ports']>;

async function start(
  dataDir: string,
  database: TestDatabase,
  { env, ...options }: WorldOptions,
  ports: Ports = {},
  changes: Partial<PlatformConfig> = {},
): Promise<Platform> {
  const wanted = Object.fromEntries(
    Object.entries(ports).map(([name, port]) => [
      `MQTT2GO_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}_PORT`,
      String(port),
    ]),
  );
  const config = loadConfig({ ...anyPorts, ...wanted, ...env, MQTT2GO_DATA_DIR: dataDir, DATABASE_URL: database.url });
  return startPlatform(
    { ...config, ...changes },
    process.env.TEST_LOG ? createLogger({ level: 'debug', format: 'json' }) : silentLogger,
    options,
  );
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export type { Clock };
