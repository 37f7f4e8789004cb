import type { ServiceName } from '@mqtt2go/access';
import type {
  AccessBrokerConfig,
  BrokerKind,
  BusBrokerConfig,
  HomeBrokerConfig,
  ServiceConfig,
  ServiceFiles,
} from '@mqtt2go/config';
import { embeddedSubscriptionNotices } from '@mqtt2go/broker-admin-aedes';
import { mosquittoSubscriptionNotices } from '@mqtt2go/broker-admin-mosquitto';
import { type BrokerLink, type Sharing, tlsLink } from '@mqtt2go/messaging';
import type { BrokerAdmin, Clock, SubscriptionNotices } from '@mqtt2go/ports';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Logger } from 'pino';
import { openBrokerAdmin } from './open-broker-admin.js';

export interface OpenBrokersOptions {
  readonly config: Pick<ServiceConfig, 'brokers' | 'replica' | 'replicas' | 'bind'>;
  /** Who comes to the brokers. */
  readonly service: ServiceName;
  readonly files: ServiceFiles;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A way to a broker, and how the service's replicas share what comes from it. */
export interface OpenBroker {
  readonly link: BrokerLink;
  /** Undefined where the broker cannot have messages shared: one process of the service at a time. */
  readonly sharing: Sharing | undefined;
}

export interface OpenHomeBroker extends OpenBroker {
  readonly name: string;
  /** What devices are told to connect to. */
  readonly host: string;
  readonly port: number;
  /** Undefined where the broker does not tell who has subscribed. */
  readonly notices: SubscriptionNotices | undefined;
}

/** A home broker with its access, and what controllers are told. */
export interface AdministeredHomeBroker {
  readonly name: string;
  readonly admin: BrokerAdmin;
  /** Whether devices with certificates of a gateway's CA can come to it. */
  readonly trustsGateways: boolean;
  /** Whether it has to be told which gateways' CAs those are. */
  readonly keepsTrust: boolean;
  readonly controllerUrl: string;
  readonly controllerWebSocketUrl: string | undefined;
}

const noticesOf: Readonly<Record<BrokerKind, SubscriptionNotices | undefined>> = {
  embedded: embeddedSubscriptionNotices,
  mosquitto: mosquittoSubscriptionNotices,
  http: undefined,
};

/** The brokers as one service sees them. Nothing is connected before it is asked for. */
export class ServiceBrokers {
  private readonly closers: (() => Promise<unknown>)[] = [];

  constructor(private readonly options: OpenBrokersOptions) {}

  get bus(): OpenBroker {
    return this.open(this.options.config.brokers.bus);
  }

  get activation(): OpenBroker {
    return this.open(this.options.config.brokers.activation);
  }

  /** One at least. */
  get home(): readonly OpenHomeBroker[] {
    return this.options.config.brokers.home.map((broker) => {
      const { name, host, port } = broker;
      return { name, host, port, notices: noticesOf[broker.kind], ...this.open(broker) };
    });
  }

  /** Connects to the activation broker's access; for the one service that keeps it. */
  async activationAdmin(): Promise<BrokerAdmin> {
    return this.admin(this.options.config.brokers.activation, 'activation', 'activation');
  }

  /** Connects to the home brokers' access; for the one service that keeps it. */
  async homeAdmins(): Promise<readonly AdministeredHomeBroker[]> {
    const administered = async (broker: HomeBrokerConfig): Promise<AdministeredHomeBroker> => {
      const { name, kind, accessDir, gateways, controllerUrl, controllerWebSocketUrl } = broker;
      const admin = await this.admin(broker, 'home', name);
      // Mosquitto knows certificates by their common names, of which any gateway's CA could give any, unless it is set up for it.
      const trustsGateways = kind !== 'mosquitto' || gateways;
      const keepsTrust = gateways && accessDir !== undefined;
      return { name, admin, trustsGateways, keepsTrust, controllerUrl, controllerWebSocketUrl };
    };
    return Promise.all(this.options.config.brokers.home.map(administered));
  }

  /**
   * What the service cannot do without, by name: URLs of which one has to answer. For its health while it starts.
   * Of several home brokers, none is needed by all homes.
   */
  needs(...roles: readonly ('activation' | 'home')[]): Record<string, readonly string[]> {
    const { bus, activation, home } = this.options.config.brokers;
    return {
      bus: bus.urls,
      ...(roles.includes('activation') ? { 'activation broker': activation.urls } : {}),
      ...(roles.includes('home')
        ? Object.fromEntries(home.map(({ name, urls }) => [homeBrokerLabel(name), urls]))
        : {}),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.closers.splice(0).map((close) => close()));
  }

  private open({ urls, ...broker }: BusBrokerConfig | AccessBrokerConfig): OpenBroker {
    const { service, config } = this.options;
    const canShare = hasSharedSubscriptions(broker.kind, 'management' in broker ? broker.management?.kind : undefined);
    const { replica, replicas } = config;
    if (!canShare) this.refuseReplicas(urls, 'shares no messages among them');
    return {
      link: this.link(urls),
      sharing: canShare ? { group: service, replica, handsOver: replicas > 1 } : undefined,
    };
  }

  private async admin(
    broker: AccessBrokerConfig | HomeBrokerConfig,
    role: 'home' | 'activation',
    name: string,
  ): Promise<BrokerAdmin> {
    const { clock, log, config, files } = this.options;
    // Each would answer from a copy of its own, of which the others' changes know nothing.
    if (broker.kind === 'http') this.refuseReplicas(broker.urls, 'asks one of them only');
    const { admin, close } = await openBrokerAdmin({
      broker,
      role,
      link: this.link(broker.urls),
      clock,
      log: log.child({ broker: name }),
      bind: config.bind,
      files,
    });
    this.closers.push(close);
    return admin;
  }

  private link(urls: readonly string[]): BrokerLink {
    const { service, files } = this.options;
    return tlsLink({ url: urls, ca: files.servicesCa, ...files.service, clientId: service });
  }

  private refuseReplicas(urls: readonly string[], why: string): void {
    const { service, config } = this.options;
    if (config.replicas === 1) return;
    throw new Mqtt2goError(
      'configuration_invalid',
      `MQTT2GO_REPLICAS is ${config.replicas}, but the broker ${urls.join(', ')} ${why}; there can be one ${service}`,
    );
  }
}

/**
 * The brokers of the configuration, by their kinds, for one service.
 * @throws Mqtt2goError `configuration_invalid` where they are asked for what their kind cannot do
 */
export function openBrokers(options: OpenBrokersOptions): ServiceBrokers {
  return new ServiceBrokers(options);
}

/** How a home broker is called in health and logs. */
export function homeBrokerLabel(name: string): string {
  return `home broker ${name}`;
}

/** Of MQTT 5 and, where brokers are kind, of 3.1.1. RabbitMQ's MQTT plugin has none. */
function hasSharedSubscriptions(kind: BrokerKind, management: 'rabbitmq' | 'emqx' | undefined): boolean {
  return kind === 'mosquitto' || (kind === 'http' && management === 'emqx');
}
