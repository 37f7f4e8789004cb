import type { ControllerPrincipal, DevicePrincipal, Principal, ServiceName } from '@mqtt2go/access';
import { hashPassword } from '@mqtt2go/pki';
import { FakeClock } from '@mqtt2go/ports';
import {
  silentLogger,
  type Certificates,
  type Credentials,
  mustConnect,
  type Outcome,
  tryConnect,
} from '@mqtt2go/testing';
import type { IClientOptions, MqttClient } from 'mqtt';
import { AedesBrokerAdmin } from '../aedes-broker-admin.js';
import { EmbeddedBroker, type EmbeddedBrokerOptions } from '../embedded-broker.js';
import { inProcess } from './clients.js';

/** A broker with its listeners, and what tests do with it. */
export class Stage {
  private readonly clients: MqttClient[] = [];

  private constructor(
    readonly certificates: Certificates,
    readonly broker: EmbeddedBroker,
    readonly clock: FakeClock,
    readonly admin: AedesBrokerAdmin,
    readonly url: string,
    readonly port: number,
  ) {}

  /** The clock stands at the true time, so that certificates are as valid to the broker as they are to TLS. */
  static async start(
    certificates: Certificates,
    role: 'home' | 'activation',
    options: Partial<EmbeddedBrokerOptions> = {},
  ): Promise<Stage> {
    const clock = new FakeClock(Date.now());
    const broker = new EmbeddedBroker({ role, clock, log: silentLogger, ...options });
    const { port } = await broker.listenTls({
      host: '127.0.0.1',
      port: 0,
      ca: role === 'home' ? certificates.root.certificate : certificates.manufacturer.certificate,
      ...certificates.server,
      clientCertificates: role === 'home' ? 'optional' : 'required',
    });
    const service = role === 'home' ? 'topic-generator' : 'discovery';
    const admin = new AedesBrokerAdmin({
      address: `in-process ${role}`,
      open: (suffix) => inProcess(() => broker, service, suffix),
    });
    await admin.replaceAll([]);
    return new Stage(certificates, broker, clock, admin, `mqtts://127.0.0.1:${port}`, port);
  }

  tryConnect(options: IClientOptions, url = this.url): Promise<Outcome> {
    return tryConnect(url, { ca: this.certificates.root.certificate, ...options });
  }

  async connect(options: IClientOptions, url = this.url): Promise<MqttClient> {
    const client = await mustConnect(url, { ca: this.certificates.root.certificate, ...options });
    this.clients.push(client);
    return client;
  }

  service(name: ServiceName): MqttClient {
    const client = inProcess(() => this.broker, name, `test-${this.clients.length}`);
    this.clients.push(client);
    return client;
  }

  /** A connection that goes on with its session, and does not come back when it breaks. */
  serviceSession(name: ServiceName, clientId: string): MqttClient {
    const client = inProcess(() => this.broker, name, clientId, { clean: false, reconnectPeriod: 0 });
    this.clients.push(client);
    return client;
  }

  /** Puts a device and gives its credentials. */
  async addDevice(id: string, change: Partial<DevicePrincipal> = {}, serial = '0A01'): Promise<Credentials> {
    await this.admin.put([device(id, { certificateSerials: [serial], ...change })]);
    return this.certificates.device(id, serial);
  }

  /** Puts a controller whose password is its id. */
  async addController(id: string, change: Partial<ControllerPrincipal> = {}): Promise<IClientOptions> {
    const controller: Principal = {
      kind: 'controller',
      id,
      homeId: 'home-1',
      gatewayId: 'gw-1',
      role: 'administrator',
      password: await hashPassword(id),
      ...change,
    };
    await this.admin.put([controller]);
    return { username: id, password: id };
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.end(true);
    await this.admin.close();
    await this.broker.close();
  }
}

export function device(id: string, change: Partial<DevicePrincipal> = {}): DevicePrincipal {
  return {
    kind: 'device',
    id,
    homeId: 'home-1',
    gatewayId: 'gw-1',
    deviceType: 'socket',
    certificateSerials: ['0A01'],
    ...change,
  };
}
