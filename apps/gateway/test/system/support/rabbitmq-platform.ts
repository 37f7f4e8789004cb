import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AedesBrokerAdmin, EmbeddedBroker } from '@mqtt2go/broker-admin-aedes';
import { HttpBrokerAdmin } from '@mqtt2go/broker-admin-http';
import { openNetwork, type RabbitMqCluster, startRabbitMqCluster } from '@mqtt2go/broker-admin-http/testing';
import { initialiseDeployment, startCertificateAuthority } from '@mqtt2go/certificate-authority';
import { Controller } from '@mqtt2go/controller-sdk';
import { Device, type DeviceIdentity, MemoryDeviceStore } from '@mqtt2go/device-sdk';
import { startDiscovery } from '@mqtt2go/discovery';
import { type BrokerLink, Bus, contracts, discovery, streamLink, tlsLink, topicGenerator } from '@mqtt2go/messaging';
import type { Authority } from '@mqtt2go/pki';
import { loadPlugins } from '@mqtt2go/plugin-api';
import { SystemClock } from '@mqtt2go/ports';
import { startProvisioning } from '@mqtt2go/provisioning';
import { Revision1Plugin } from '@mqtt2go/revision-1';
import { createTestDatabase, freePort, silentLogger } from '@mqtt2go/testing';
import { startTopicGenerator } from '@mqtt2go/topic-generator';
import { createManufacturer, mintDevice } from '../../support/world.js';
import { Balancer } from './balancer.js';

const log = silentLogger;
const clock = new SystemClock();

/** The platform in this process, with embedded brokers for the activation and the bus, and a RabbitMQ cluster for homes. */
export class RabbitMqPlatform {
  private count = 0;

  private constructor(
    readonly cluster: RabbitMqCluster,
    readonly admin: HttpBrokerAdmin,
    readonly operator: Bus,
    private readonly door: { readonly host: string; readonly home: number; readonly activation: number },
    private readonly manufacturer: Authority,
    private readonly ca: string,
    private readonly closers: readonly (() => Promise<unknown>)[],
  ) {}

  static async start(): Promise<RabbitMqPlatform> {
    const closers: (() => Promise<unknown>)[] = [];
    const opened = <T>(part: T, close: (part: T) => Promise<unknown>): T => {
      closers.unshift(() => close(part));
      return part;
    };
    const database = opened(await createTestDatabase(), (it) => it.drop());
    const databaseUrl = database.url;
    const encryptionKey = randomBytes(32).toString('base64');
    const folder = opened(await mkdtemp(join(tmpdir(), 'mqtt2go-rabbitmq-')), (it) => rm(it, { recursive: true }));
    const network = await openNetwork();
    const host = network.gateway;
    const tlsDir = join(folder, 'tls');
    const files = await initialiseDeployment({ databaseUrl, encryptionKey, tlsDir, publicHost: host, clock, log });
    const { ca, servicesCa, servers, services } = files;

    const authPort = await freePort();
    const started = await startRabbitMqCluster({
      network,
      authPort,
      ca,
      servicesCa,
      server: servers['home-broker'],
      broker: services.broker,
    });
    const cluster = opened(started, (it) => it.remove());
    const opening = HttpBrokerAdmin.open({
      role: 'home',
      broker: 'rabbitmq',
      endpoint: { host, port: authPort, ca: servicesCa, ...services['topic-generator'] },
      management: {
        urls: cluster.managementUrls,
        user: 'mqtt2go-access',
        password: randomBytes(20).toString('base64url'),
        ca: servicesCa,
        ...services['topic-generator'],
      },
      clock,
      log,
    });
    const admin = opened(await opening, (it) => it.close());
    await cluster.formed(3);
    const nodes = [0, 1, 2];
    const home = await freePort();
    opened(await Balancer.listen(host, home, nodes.map(cluster.devicesPort)), (it) => it.close());
    const homeLink = tlsLink({
      url: nodes.map((node) => `mqtts://localhost:${cluster.servicesPort(node)}`),
      ca: servicesCa,
      ...services.provisioning,
      clientId: 'provisioning',
    });

    const embedded = (role: 'activation' | 'bus') =>
      opened(new EmbeddedBroker({ role, clock, log, busRequests: contracts }), (it) => it.close());
    const [activationBroker, bus] = [embedded('activation'), embedded('bus')];
    const link = (broker: EmbeddedBroker, service: Parameters<EmbeddedBroker['connectInProcess']>[0]): BrokerLink =>
      streamLink({ address: 'in-process', clientId: service, connect: () => broker.connectInProcess(service) });
    const { port: activation } = await activationBroker.listenTls({
      host,
      port: 0,
      ca: [],
      ...servers['activation-broker'],
      clientCertificates: 'required',
    });

    const loading = loadPlugins({ names: ['revision-1'], builtIn: { 'revision-1': Revision1Plugin }, log });
    const plugins = opened(await loading, (it) => it.stop());
    await plugins.start();
    const common = { log, clock, databaseUrl };
    const discoveryPort = await freePort();
    const activationAdmin = new AedesBrokerAdmin(link(activationBroker, 'discovery'));
    opened(activationAdmin, (it) => it.close());
    const homeBroker = { name: 'home-0', host, port: home };
    for (const starting of [
      () => startCertificateAuthority({ ...common, busLink: link(bus, 'certificate-authority'), encryptionKey }),
      () =>
        startTopicGenerator({
          ...common,
          busLink: link(bus, 'topic-generator'),
          encryptionKey,
          homeBrokers: [
            {
              ...homeBroker,
              admin,
              trustsGateways: true,
              controllerUrl: `mqtts://${host}:${home}`,
              controllerWebSocketUrl: undefined,
            },
          ],
        }),
      () =>
        startDiscovery({
          ...common,
          busLink: link(bus, 'discovery'),
          activationLink: link(activationBroker, 'discovery'),
          brokerAdmin: activationAdmin,
          encryptionKey,
          plugins,
          rest: { host: '127.0.0.1', port: discoveryPort, ca: servicesCa, ...servers.discovery },
        }),
      () =>
        startProvisioning({
          ...common,
          busLink: link(bus, 'provisioning'),
          homeBrokers: [{ ...homeBroker, link: homeLink }],
          discovery: { url: `https://localhost:${discoveryPort}`, ca, ...services.provisioning },
          encryptionKey: Buffer.from(encryptionKey, 'base64'),
          plugins,
        }),
    ]) {
      opened(await starting(), (it) => it.stop());
    }
    const operator = opened(new Bus(link(bus, 'operator')), (it) => it.close());
    const manufacturer = await createManufacturer('Acme');
    await operator.call(discovery.registerManufacturer, { name: 'Acme', certificate: manufacturer.certificate });
    return new RabbitMqPlatform(cluster, admin, operator, { host, home, activation }, manufacturer, ca, closers);
  }

  /** An app of a new home, connected. */
  async app(): Promise<Controller> {
    this.count += 1;
    const home = { homeId: `home-${this.count}`, gatewayId: 'gw-1' };
    const { username, password, url } = await this.operator.call(topicGenerator.createController, home);
    const controller = new Controller({
      ...home,
      url,
      username,
      password,
      ca: this.ca,
      reconnectMs: 100,
      repeatMs: 2_000,
    });
    await controller.connect();
    return controller;
  }

  /** A device as it leaves the factory, switched on, and what its label says. */
  async device(): Promise<{ device: Device; deviceId: string; activationCode: string }> {
    this.count += 1;
    const minted = await mintDevice(this.operator, this.manufacturer, { deviceId: `device-${this.count}` });
    const identity: DeviceIdentity = {
      file: {
        device_id: minted.deviceId,
        activation_code: minted.code,
        device_type: minted.type,
        discovery: { host: this.door.host, port: this.door.activation },
      },
      certificate: minted.cert,
      key: minted.key,
      ca: this.ca,
    };
    const times = { backOff: { minMs: 100, maxMs: 1_000 }, answerTimeoutMs: 2_000, askAgainMs: 2_000 };
    const device = new Device(new MemoryDeviceStore(identity), { times });
    return { device, deviceId: minted.deviceId, activationCode: minted.code };
  }

  async close(): Promise<void> {
    for (const close of this.closers) await close();
  }
}
