import { FakeClock } from '@mqtt2go/ports';
import { silentLogger } from '@mqtt2go/testing';
import { HttpBrokerAdmin, type HttpBrokerAdminOptions } from '../http-broker-admin.js';
import { Asker } from './asker.js';
import { FakeManagement } from './fake-management.js';
import type { TestPki } from './test-pki.js';

/** An access endpoint on 127.0.0.1 with a broker that asks it and a management API that is told. */
export interface EndpointStage {
  readonly admin: HttpBrokerAdmin;
  readonly management: FakeManagement;
  readonly asker: Asker;
  readonly clock: FakeClock;
  close(): Promise<void>;
}

export const manager = { user: 'mqtt2go-access', password: 'a-random-token-of-160-bits' };

export async function openEndpoint(
  pki: TestPki,
  broker: 'rabbitmq' | 'emqx',
  change: Partial<HttpBrokerAdminOptions> = {},
): Promise<EndpointStage> {
  const management = await FakeManagement.start();
  management.answers.set('/api/connections', { page_count: 1, items: [] });
  management.answers.set('/api/queues/%2F', { page_count: 1, items: [] });
  management.answers.set('/api/v5/clients', { data: [], meta: { hasnext: false } });
  const clock = new FakeClock();
  const admin = await HttpBrokerAdmin.open({
    role: 'home',
    broker,
    endpoint: { host: '127.0.0.1', port: 0, ca: pki.servicesCa, ...(await pki.service('topic-generator')) },
    management: { urls: [management.url], ...manager },
    clock,
    log: silentLogger,
    rebuildRetryMs: 5,
    sweepMs: 5,
    ...change,
  });
  const asker = new Asker(admin.port, { ca: pki.servicesCa, ...(await pki.service('broker')) });
  return {
    admin,
    management,
    asker,
    clock,
    async close() {
      asker.close();
      await admin.close();
      await management.close();
    },
  };
}
