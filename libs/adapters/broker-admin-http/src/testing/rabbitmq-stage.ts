import type { Principal, PrincipalKey } from '@mqtt2go/access';
import { BrokerAdmin, SystemClock } from '@mqtt2go/ports';
import { freePort, silentLogger } from '@mqtt2go/testing';
import { HttpBrokerAdmin, type HttpBrokerAdminOptions } from '../http-broker-admin.js';
import { openNetwork, type RabbitMqCluster, startRabbitMqCluster } from './rabbitmq-cluster.js';
import { createTestPki, type TestPki } from './test-pki.js';

/** A cluster that asks here, and what opens the endpoint that it asks. */
export interface RabbitMqStage {
  readonly pki: TestPki;
  readonly cluster: RabbitMqCluster;
  readonly authPort: number;
  openAdmin(change?: Partial<HttpBrokerAdminOptions>): Promise<HttpBrokerAdmin>;
  close(): Promise<void>;
}

export async function openRabbitMqStage(size?: number): Promise<RabbitMqStage> {
  const pki = await createTestPki();
  const network = await openNetwork();
  const authPort = await freePort();
  const identity = await pki.service('topic-generator', [network.gateway, '127.0.0.1']);
  const { ca, servicesCa } = pki;
  const hosts = ['127.0.0.1', 'localhost'];
  const [server, broker] = [await pki.server('home-broker', hosts), await pki.service('broker', hosts)];
  const cluster = await startRabbitMqCluster({
    network,
    authPort,
    ca,
    servicesCa,
    server,
    broker,
    ...(size === undefined ? {} : { size }),
  });
  return {
    pki,
    cluster,
    authPort,
    openAdmin: (change) =>
      HttpBrokerAdmin.open({
        role: 'home',
        broker: 'rabbitmq',
        endpoint: { host: network.gateway, port: authPort, ca: pki.servicesCa, ...identity },
        management: {
          urls: cluster.managementUrls,
          user: 'mqtt2go-access',
          password: 'a-random-token-of-160-bits',
          ca: pki.servicesCa,
          ...identity,
        },
        clock: new SystemClock(),
        log: silentLogger,
        rebuildRetryMs: 50,
        ...change,
      }),
    close: () => cluster.remove(),
  };
}

/** The same to those who use it when the process behind it is another one. */
export class RestartedAdmin extends BrokerAdmin {
  readonly #rebuilds = new Map<() => Promise<void>, () => void>();

  constructor(public inner: HttpBrokerAdmin) {
    super();
  }

  /** The process and its copy are gone, and one without a copy takes their place. */
  async restart(open: () => Promise<HttpBrokerAdmin>): Promise<void> {
    await this.inner.close();
    this.inner = await open();
    for (const rebuild of this.#rebuilds.keys()) this.#rebuilds.set(rebuild, this.inner.onCopyLost(rebuild));
  }

  override put(principals: readonly Principal[]): Promise<void> {
    return this.inner.put(principals);
  }
  override remove(keys: readonly PrincipalKey[]): Promise<void> {
    return this.inner.remove(keys);
  }
  override replaceAll(principals: AsyncIterable<Principal> | Iterable<Principal>): Promise<void> {
    return this.inner.replaceAll(principals);
  }
  override setTrustAnchors(): Promise<void> {
    return this.inner.setTrustAnchors();
  }
  override onCopyLost(rebuild: () => Promise<void>): () => void {
    this.#rebuilds.set(rebuild, this.inner.onCopyLost(rebuild));
    return () => {
      this.#rebuilds.get(rebuild)?.();
      this.#rebuilds.delete(rebuild);
    };
  }
}
