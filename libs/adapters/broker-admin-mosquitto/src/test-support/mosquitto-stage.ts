import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BusRequest, Principal, ServiceName } from '@mqtt2go/access';
import { SystemClock } from '@mqtt2go/ports';
import {
  injectedImages,
  type RunningContainer,
  silentLogger,
  startContainer,
  waitFor,
  type Certificates,
  type Credentials,
  mustConnect,
  type Outcome,
  tryConnect,
} from '@mqtt2go/testing';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { type AccessBroker, accessBrokerOf } from '../entries/entry.js';
import type { MosquittoRole } from '../files/limits.js';
import { brokerFileNames } from '../files/mosquitto-conf.js';
import { mosquittoFiles } from '../files/mosquitto-files.js';
import { MosquittoBrokerAdmin, type MosquittoBrokerAdminOptions } from '../mosquitto-broker-admin.js';
import { dynsecSnapshot } from '../snapshot/dynsec-snapshot.js';

export interface StageOptions {
  readonly contracts?: readonly BusRequest[];
  /** Whether a home broker is for homes with gateways of their own. */
  readonly gateways?: boolean;
  /** Whom the broker is to know from its start; nobody, from an empty folder, by default. */
  readonly snapshotOf?: readonly Principal[];
}

const portsOf = {
  home: { devices: 8883, controllers: 8889, controllersWebSocket: 8884, services: 8887 },
  activation: { devices: 8885, services: 8888 },
  bus: { services: 8886 },
} as const;

type Door = 'devices' | 'controllers' | 'controllersWebSocket' | 'services';

/** A real Mosquitto in a container, configured as in production, and what tests do with it. */
export class MosquittoStage {
  private readonly clients: MqttClient[] = [];
  private readonly admins: MosquittoBrokerAdmin[] = [];

  private constructor(
    readonly role: MosquittoRole,
    private readonly access: AccessBroker,
    readonly certificates: Certificates,
    readonly folder: string,
    readonly container: RunningContainer,
    private readonly service: Credentials,
  ) {}

  static async start(
    certificates: Certificates,
    role: MosquittoRole,
    { contracts = [], gateways = false, snapshotOf }: StageOptions = {},
  ): Promise<MosquittoStage> {
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-broker-'));
    await chmod(folder, 0o755);
    await mkdir(join(folder, brokerFileNames.trust), { recursive: true });
    const services = await certificates.service('broker');
    const files: Record<string, string> = {
      ...mosquittoFiles({ name: `${role}-0`, role, gateways, contracts }),
      [brokerFileNames.serverCertificate]: certificates.server.cert,
      [brokerFileNames.serverKey]: certificates.server.key,
      [brokerFileNames.devicesCa]: certificates.root.certificate,
      [brokerFileNames.servicesCertificate]: services.cert,
      [brokerFileNames.servicesKey]: services.key,
      [brokerFileNames.servicesCa]: certificates.services.certificate,
    };
    const access = accessBrokerOf(role === 'activation' ? role : 'home', gateways);
    if (snapshotOf !== undefined && role !== 'bus') {
      files[brokerFileNames.snapshot] = await dynsecSnapshot(snapshotOf, access);
    }
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    const container = await startContainer({
      image: injectedImages().bases.mosquitto,
      name: 'mosquitto',
      user: '1883:1883',
      readOnly: true,
      ports: Object.values(portsOf[role]),
      mounts: [{ source: folder, target: '/mosquitto/config', readOnly: true }],
      tmpfs: { '/mosquitto/data': 'mode=1777' },
    });
    const own = await certificates.service(role === 'activation' ? 'discovery' : 'topic-generator');
    const stage = new MosquittoStage(role, access, certificates, folder, container, own);
    await stage.isListening();
    return stage;
  }

  get gateways(): boolean {
    return this.access === 'home-of-gateways';
  }

  get accessDir(): string {
    return join(this.folder, 'access');
  }

  url(door: Door = 'devices'): string {
    const ports: Partial<Record<Door, number>> = portsOf[this.role];
    const inside = ports[door];
    if (inside === undefined) throw new Error(`no ${door} at this broker`);
    return `${door === 'controllersWebSocket' ? 'wss' : 'mqtts'}://127.0.0.1:${this.container.port(inside)}`;
  }

  admin(options: Partial<MosquittoBrokerAdminOptions> = {}): MosquittoBrokerAdmin {
    const admin = new MosquittoBrokerAdmin(
      { address: this.url('services'), open: (suffix) => this.openService(suffix, { reconnectPeriod: 50 }) },
      {
        broker: this.access,
        log: silentLogger,
        clock: new SystemClock(),
        auditIntervalMs: 0,
        timeoutMs: 20_000,
        rebuildRetryMs: 100,
        ...options,
      },
    );
    this.admins.push(admin);
    return admin;
  }

  /** A connection of the service that keeps the access copy. */
  openService(clientId: string, options: IClientOptions = {}): MqttClient {
    const client = connect(this.url('services'), {
      protocolVersion: 4,
      reconnectPeriod: 0,
      resubscribe: false,
      ca: this.certificates.services.certificate,
      ...this.service,
      ...options,
      clientId: `service ${clientId} ${Math.random()}`,
    });
    client.on('error', () => undefined);
    this.clients.push(client);
    return client;
  }

  async connectService(name: ServiceName, options: IClientOptions = {}): Promise<MqttClient> {
    const credentials = await this.certificates.service(name);
    return this.connect(
      { ca: this.certificates.services.certificate, clientId: `service ${name}`, ...credentials, ...options },
      'services',
    );
  }

  tryConnect(options: IClientOptions, door: Door = 'devices'): Promise<Outcome> {
    return tryConnect(this.url(door), { ca: this.certificates.root.certificate, ...options });
  }

  async connect(options: IClientOptions, door: Door = 'devices'): Promise<MqttClient> {
    const client = await mustConnect(this.url(door), { ca: this.certificates.root.certificate, ...options });
    this.clients.push(client);
    return client;
  }

  /** Resolves when a service is let in: it logs nothing that tells. */
  private async isListening(): Promise<void> {
    const isIn = async (): Promise<boolean> => {
      const outcome = await tryConnect(this.url('services'), {
        ca: this.certificates.services.certificate,
        ...this.service,
      });
      if ('client' in outcome) await outcome.client.endAsync(true);
      return 'client' in outcome;
    };
    await waitFor(isIn, 'Mosquitto listens', 30_000);
  }

  /** Kills the broker; without its snapshot it comes back with nobody in its memory. */
  async killAndStart({ keepsSnapshot = false }: { keepsSnapshot?: boolean } = {}): Promise<void> {
    if (await this.container.isRunning()) await this.container.kill();
    if (!keepsSnapshot) await rm(join(this.folder, brokerFileNames.snapshot), { force: true });
    await this.container.start();
    await this.isListening();
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.end(true);
    await Promise.all(this.admins.map((admin) => admin.close()));
    await this.container.remove();
    await rm(this.folder, { recursive: true, force: true });
  }
}
