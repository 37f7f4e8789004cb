import { brokerAdminContract, contractDeviceIds, contractSerials } from '@mqtt2go/ports/testing';
import { SystemClock } from '@mqtt2go/ports';
import { silentLogger, Certificates, closed, type Credentials, subscribes, tryConnect } from '@mqtt2go/testing';
import { beforeAll } from 'vitest';
import { AedesBrokerAdmin } from './aedes-broker-admin.js';
import { EmbeddedBroker } from './embedded-broker.js';
import { inProcess } from './test-support/clients.js';

let certificates: Certificates;
const ofDevices = new Map<string, Credentials>();

beforeAll(async () => {
  certificates = await Certificates.create();
  for (const id of contractDeviceIds) {
    for (const serial of contractSerials) ofDevices.set(`${id} ${serial}`, await certificates.device(id, serial));
  }
});

async function startBroker(port: number): Promise<{ broker: EmbeddedBroker; port: number }> {
  const broker = new EmbeddedBroker({ role: 'home', clock: new SystemClock(), log: silentLogger });
  const listener = await broker.listenTls({
    host: '127.0.0.1',
    port,
    ca: certificates.root.certificate,
    ...certificates.server,
    clientCertificates: 'optional',
  });
  return { broker, port: listener.port };
}

brokerAdminContract('AedesBrokerAdmin', async () => {
  let { broker, port } = await startBroker(0);
  const admin = new AedesBrokerAdmin({
    address: 'in-process home',
    open: () => inProcess(() => broker, 'topic-generator'),
  });
  return {
    admin,
    connect: async ({ key, certificateSerial, password }) => {
      const outcome = await tryConnect(`mqtts://127.0.0.1:${port}`, {
        ca: certificates.root.certificate,
        ...(password !== undefined && { username: key.id, password }),
        ...(certificateSerial !== undefined && ofDevices.get(`${key.id} ${certificateSerial}`)),
      });
      if ('refusedWith' in outcome) return undefined;
      return { maySubscribe: (filter) => subscribes(outcome.client, filter), closed: closed(outcome.client) };
    },
    restart: async () => {
      await broker.close();
      ({ broker, port } = await startBroker(0));
    },
    close: async () => {
      await admin.close();
      await broker.close();
    },
  };
});
