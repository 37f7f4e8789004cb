import { setTimeout } from 'node:timers/promises';
import { type BrokerRole, bridgeRules, type ServiceName } from '@mqtt2go/access';
import {
  AedesBrokerAdmin,
  type BrokerStats,
  EmbeddedBroker,
  embeddedSubscriptionNotices,
} from '@mqtt2go/broker-admin-aedes';
import type { DeploymentFiles } from '@mqtt2go/certificate-authority';
import type { PortConfig, Profile } from '@mqtt2go/config';
import { type BrokerLink, contracts, streamLink } from '@mqtt2go/messaging';
import type { Clock } from '@mqtt2go/ports';
import type { Logger } from 'pino';

/** The three embedded brokers. Nobody but the services of this process reaches them before {@link Brokers.open}. */
export class Brokers {
  private readonly home: EmbeddedBroker;
  private readonly activation: EmbeddedBroker;
  private readonly bus: EmbeddedBroker;
  private readonly admins: AedesBrokerAdmin[] = [];

  constructor(
    private readonly profile: Profile,
    clock: Clock,
    log: Logger,
  ) {
    const initializationAccounts = !profile.discovery;
    const broker = (role: 'home' | 'activation' | 'bus'): EmbeddedBroker =>
      new EmbeddedBroker({
        role,
        clock,
        log: log.child({ broker: role }),
        busRequests: contracts,
        initializationAccounts,
      });
    this.home = broker('home');
    this.activation = broker('activation');
    this.bus = broker('bus');
  }

  busLink(service: ServiceName): BrokerLink {
    return link(this.bus, 'bus', service);
  }

  homeLink(service: ServiceName): BrokerLink {
    return link(this.home, 'home', service);
  }

  /** For what is said while a home moves. */
  relayLink(name: string) {
    return { name, link: this.homeLink('federation'), notices: embeddedSubscriptionNotices };
  }

  /** For the bridge of a home: what may be said and heard there is the home's own. */
  bridgeLink(homeId: string): BrokerLink {
    const rules = bridgeRules(homeId);
    return streamLink({
      address: 'in-process home',
      clientId: 'federation',
      connect: () => this.home.connectInProcess('federation', rules),
    });
  }

  activationLink(service: ServiceName): BrokerLink {
    return link(this.activation, 'activation', service);
  }

  homeAdmin(): AedesBrokerAdmin {
    return this.admin(this.homeLink('topic-generator'));
  }

  activationAdmin(): AedesBrokerAdmin {
    return this.admin(this.activationLink('discovery'));
  }

  private admin(link: BrokerLink): AedesBrokerAdmin {
    const admin = new AedesBrokerAdmin(link);
    this.admins.push(admin);
    return admin;
  }

  /** Opens the doors for services and the operator, on loopback; of the home and activation broker if `all`. */
  async openForServices(ports: PortConfig, files: DeploymentFiles, all: boolean): Promise<void> {
    const listener = (port: number) => ({ host: '127.0.0.1', port, ca: files.servicesCa, ...files.services.broker });
    await this.bus.listenServices(listener(ports.bus));
    if (!all) return;
    await this.home.listenServices(listener(ports.homeServices));
    await this.activation.listenServices(listener(ports.activationServices));
  }

  /** Opens the doors for devices and controllers; last, when there are services behind them. */
  async open(host: string, ports: PortConfig, files: DeploymentFiles): Promise<void> {
    const home = { host, ca: files.ca, ...files.servers['home-broker'] };
    await Promise.all([
      this.home.listenWss({ ...home, port: ports.homeWss }),
      this.profile.discovery
        ? this.openSeparately(home, ports, files)
        : this.home.listenShared({ ...home, port: ports.home }, this.activation),
    ]);
  }

  private async openSeparately(
    home: Omit<Parameters<EmbeddedBroker['listenTls']>[0], 'port' | 'clientCertificates'>,
    ports: PortConfig,
    files: DeploymentFiles,
  ): Promise<void> {
    const activation = { host: home.host, ca: [], ...files.servers['activation-broker'] };
    await Promise.all([
      this.home.listenTls({ ...home, port: ports.home, clientCertificates: 'optional' }),
      this.activation.listenTls({ ...activation, port: ports.activation, clientCertificates: 'required' }),
    ]);
  }

  /** Shows renewed certificates from now on; who is connected stays. */
  renew({ servers, services }: DeploymentFiles): void {
    this.home.setIdentity(['tls', 'websocket'], servers['home-broker']);
    this.activation.setIdentity(['tls'], servers['activation-broker']);
    for (const broker of [this.home, this.activation, this.bus]) broker.setIdentity(['services'], services.broker);
  }

  /** Resolves when the services have told both brokers who may come in; after 10 seconds the doors open all the same. */
  async filled(): Promise<void> {
    const isFilled = (): boolean =>
      this.stats().every(({ broker, isCopyComplete }) => broker === 'bus' || isCopyComplete);
    for (let tries = 1_000; tries > 0 && !isFilled(); tries -= 1) await setTimeout(10);
  }

  stats(): ({ broker: BrokerRole } & BrokerStats)[] {
    const brokers = { home: this.home, activation: this.activation, bus: this.bus };
    return (['home', 'activation', 'bus'] as const).map((broker) => ({ broker, ...brokers[broker].stats() }));
  }

  async close(): Promise<void> {
    await Promise.all(this.admins.map((admin) => admin.close()));
    await Promise.all([this.home.close(), this.activation.close()]);
    await this.bus.close();
  }
}

function link(broker: EmbeddedBroker, name: string, service: ServiceName): BrokerLink {
  return streamLink({
    address: `in-process ${name}`,
    clientId: service,
    connect: () => broker.connectInProcess(service),
  });
}
