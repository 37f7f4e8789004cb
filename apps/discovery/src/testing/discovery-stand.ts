import { randomUUID } from 'node:crypto';
import { type BrokerLink, Bus } from '@mqtt2go/messaging';
import { createEncryptionKey } from '@mqtt2go/pki';
import { RevisionRegistry } from '@mqtt2go/plugin-api';
import { FakeBrokerAdmin, FakeClock } from '@mqtt2go/ports';
import { Revision1Wire } from '@mqtt2go/revision-1';
import { activateDevicePath } from '@mqtt2go/protocol';
import {
  askRest,
  createTestDatabase,
  type RestAnswer,
  type RestRequest,
  silentLogger,
  startTestBroker,
  type TestBroker,
  type TestDatabase,
  waitFor,
} from '@mqtt2go/testing';
import { type DiscoveryDeps, type DiscoveryHandle, startDiscovery } from '../start-discovery.js';
import { type Identity, TestIdentities } from './identities.js';

/** Of step 2, unless it names another path. */
export type Asked = Partial<RestRequest>;

/** A Discovery server on a real database and real HTTPS, with plain brokers in the process. */
export class DiscoveryStand {
  readonly clock = new FakeClock(Date.now());
  admin = new FakeBrokerAdmin({ role: 'activation', clock: this.clock });
  service: DiscoveryHandle;
  bus: Bus;
  private readonly encryptionKey = createEncryptionKey();

  private constructor(
    readonly database: TestDatabase,
    readonly busBroker: TestBroker,
    readonly activationBroker: TestBroker,
    readonly identities: TestIdentities,
  ) {}

  static async create(): Promise<DiscoveryStand> {
    const stand = new DiscoveryStand(
      await createTestDatabase(),
      await startTestBroker(),
      await startTestBroker(),
      await TestIdentities.create(),
    );
    await stand.start();
    stand.bus = await connectedBus(stand.busBroker.link('test'));
    return stand;
  }

  async start(changes: Partial<DiscoveryDeps> = {}): Promise<void> {
    this.service = await startDiscovery({
      log: silentLogger,
      clock: this.clock,
      databaseUrl: this.database.url,
      poolSize: 5,
      busLink: this.busBroker.link('discovery'),
      activationLink: this.activationBroker.link('discovery'),
      brokerAdmin: this.admin,
      encryptionKey: this.encryptionKey,
      plugins: { revisions: new RevisionRegistry([new Revision1Wire()]) },
      rest: {
        host: '127.0.0.1',
        port: 0,
        ca: this.identities.servicesCa.certificate,
        ...this.identities.server(),
      },
      sweepIntervalMs: 20,
      ...changes,
    });
  }

  /** The process is started again, against a broker that has lost its copy. */
  async restart(): Promise<void> {
    await this.service.stop();
    this.admin = new FakeBrokerAdmin({ role: 'activation', clock: this.clock });
    await this.start();
  }

  async close(): Promise<void> {
    await this.bus.close();
    await this.service.stop();
    await Promise.all([this.busBroker.close(), this.activationBroker.close()]);
    await this.database.drop();
  }

  /** Asks with the certificate of provisioning, unless told otherwise. */
  ask(request: Asked, identity: Identity | undefined = this.identities.service('provisioning')): Promise<RestAnswer> {
    return askRest(
      { port: this.restPort, ca: this.identities.root.certificate, identity },
      { path: activateDevicePath, ...request },
    );
  }

  askWithoutCertificate(request: Asked): Promise<RestAnswer> {
    return askRest(
      { port: this.restPort, ca: this.identities.root.certificate },
      { path: activateDevicePath, ...request },
    );
  }

  private get restPort(): number {
    const { restPort } = this.service;
    if (restPort === undefined) throw new Error('this stand has no REST side');
    return restPort;
  }

  announcement(changes: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      device_id: 'lamp-1',
      activation_code: 'CODE-1',
      onboarding_id: randomUUID(),
      revision: '1.0',
      broker_ip: 'home.example',
      key_mode: 'existing-key',
      device_certificate: 'PEM of the device',
      device_type: 'light',
      expires_at: new Date(this.clock.now() + 10 * 60_000).toISOString(),
      ...changes,
    };
  }

  announce(changes: Record<string, unknown> = {}): Promise<RestAnswer> {
    return this.ask({ body: this.announcement(changes) });
  }
}

async function connectedBus(link: BrokerLink): Promise<Bus> {
  const bus = new Bus(link);
  await waitFor(() => {
    try {
      bus.checkHealth();
      return true;
    } catch {
      return false;
    }
  }, 'the bus');
  return bus;
}
