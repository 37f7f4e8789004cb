import { createServer, type Server, type TLSSocket } from 'node:tls';
import {
  createTestCertificates,
  startTestBroker,
  type TestBroker,
  type TestCertificates,
  waitForEvent,
} from '@mqtt2go/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tlsLink } from './tls-link.js';

let certificates: TestCertificates;
let broker: TestBroker;
let server: Server;
let names: unknown[];

beforeAll(async () => {
  certificates = await createTestCertificates();
  broker = await startTestBroker();
});
afterAll(() => broker.close());

beforeEach(async () => {
  names = [];
  const { ca, server: identity } = certificates;
  server = createServer({ ca, ...identity, requestCert: true, rejectUnauthorized: true }, (socket: TLSSocket) => {
    names.push(socket.getPeerCertificate().subject.CN);
    broker.aedes.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.close();
});

function url(): string {
  const address = server.address();
  return `mqtts://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

describe('tlsLink', () => {
  it('comes with the certificate of its service', async () => {
    const identity = await certificates.service('provisioning');
    const link = tlsLink({ url: url(), ca: certificates.ca, ...identity, clientId: 'provisioning' });
    const client = link.open('bus');
    await waitForEvent(client, 'connect');
    expect(names).toEqual(['provisioning']);
    expect(client.options.clientId).toMatch(/^service:provisioning-bus-[0-9a-f]{8}$/);
    await client.endAsync();
  });

  it('does not talk to a broker of another CA', async () => {
    const stranger = await createTestCertificates();
    const identity = await certificates.service('provisioning');
    const client = tlsLink({ url: url(), ca: stranger.ca, ...identity, clientId: 'provisioning' }).open('bus');
    const [error] = await waitForEvent<[Error]>(client, 'error');
    expect(error.message).toMatch(/certificate/);
    await client.endAsync(true);
  });

  it('gives a session that outlives its connection a client id that stays', async () => {
    const identity = await certificates.service('provisioning');
    const client = tlsLink({ url: url(), ca: certificates.ca, ...identity, clientId: 'provisioning' }).open('devices', {
      clean: false,
    });
    expect(client.options.clientId).toBe('service:provisioning-devices');
    await waitForEvent(client, 'connect');
    await client.endAsync();
  });
});
