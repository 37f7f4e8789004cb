import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:tls';
import { createEncryptionKey } from '@mqtt2go/pki';
import { SystemClock } from '@mqtt2go/ports';
import {
  askRest,
  createTestCertificates,
  createTestDatabase,
  type RestAnswer,
  type RestRequest,
  silentLogger,
  startTestBroker,
  type TestBroker,
  type TestCertificates,
  type TestDatabase,
  type TestIdentity,
} from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FederationHandle, startFederation } from '../start-federation.js';

const documentFile = new URL('../../../../docs/openapi-gateway.json', import.meta.url);
const movePath = '/homes/home-1/move';

/** Of a gateway that is enrolled at no cloud. */
describe('the REST side of a gateway', () => {
  let database: TestDatabase;
  let bus: TestBroker;
  let certificates: TestCertificates;
  let operator: TestIdentity;
  let service: FederationHandle;

  beforeAll(async () => {
    [database, bus, certificates] = await Promise.all([
      createTestDatabase(),
      startTestBroker(),
      createTestCertificates(),
    ]);
    operator = await certificates.service('operator');
    service = await startFederation({
      log: silentLogger,
      clock: new SystemClock(),
      databaseUrl: database.url,
      poolSize: 2,
      busLink: bus.link('federation'),
      encryptionKey: createEncryptionKey(),
      rest: { host: '127.0.0.1', port: 0, ca: certificates.ca, ...certificates.server },
    });
  });
  afterAll(async () => {
    await service.stop();
    await bus.close();
    await database.drop();
  });

  /** Asks as the operator, unless told otherwise. */
  const ask = (
    { path = movePath, ...request }: Partial<RestRequest>,
    identity: TestIdentity | undefined = operator,
  ): Promise<RestAnswer> =>
    askRest({ port: service.httpPort ?? 0, ca: certificates.ca, identity }, { path, ...request });

  const expectProblem = (answer: RestAnswer, status: number, code: string): void => {
    expect(answer.json).toMatchObject({ status, code, type: `urn:mqtt2go:error:${code}` });
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  };

  it('is described by docs/openapi-gateway.json (UPDATE_DOCS=1 writes it anew)', async () => {
    const served = await ask({ method: 'GET', path: '/openapi.json' });
    expect(served.status).toBe(200);
    const document = `${JSON.stringify(served.json, null, 2)}\n`;
    if (process.env['UPDATE_DOCS'] === '1') await writeFile(documentFile, document);
    expect(document).toBe(await readFile(documentFile, 'utf8'));
  });

  it('moves nothing before the gateway is enrolled', async () => {
    expectProblem(await ask({ body: { to: 'remote' } }), 404, 'not_enrolled');
    expectProblem(await ask({ method: 'GET' }), 404, 'not_enrolled');
  });

  describe('refuses', () => {
    it('who shows no certificate, also at its description', async () => {
      for (const request of [
        { path: movePath, body: { to: 'remote' } },
        { path: movePath, method: 'GET' },
        { path: '/openapi.json', method: 'GET' },
      ]) {
        await expect(askRest({ port: service.httpPort ?? 0, ca: certificates.ca }, request)).rejects.toThrow();
      }
    });

    it('an operator of another CA', async () => {
      const stranger = await (await createTestCertificates()).service('operator');
      await expect(ask({ body: { to: 'remote' } }, stranger)).rejects.toThrow();
    });

    it.each(['federation', 'provisioning', 'discovery', 'Operator', 'operator2'])('the service %s', async (name) => {
      const identity = await certificates.service(name);
      expectProblem(await ask({ body: { to: 'remote' } }, identity), 403, 'forbidden');
      expectProblem(await ask({ method: 'GET' }, identity), 403, 'forbidden');
    });

    it.each(['', '{', 'null', '"remote"', '[]', '{}', '{"to":1}', '{"to":"REMOTE"}', '{"to":["remote"]}', '\u0000'])(
      'the body %j',
      async (body) => {
        expectProblem(await ask({ body }), 400, 'malformed_message');
      },
    );

    it('a body of another type, or over 4 KiB, told or not', async () => {
      const headers = { 'content-type': 'text/xml' };
      expectProblem(await ask({ body: '<to/>', headers }), 415, 'malformed_message');
      const body = { to: 'remote', padding: 'x'.repeat(5_000) };
      expectProblem(await ask({ body }), 413, 'message_too_large');
      expectProblem(await ask({ body, headers: { 'transfer-encoding': 'chunked' } }), 413, 'message_too_large');
    });

    it.each(['a%2Fb', '%2B', '%23', '%00', 'ä', 'x'.repeat(65)])('the home %s', async (home) => {
      const path = `/homes/${encodeURI(home).replaceAll('%25', '%')}/move`;
      expectProblem(await ask({ path, method: 'GET' }), 400, 'invalid_identifier');
      expectProblem(await ask({ path, body: { to: 'remote' } }), 400, 'invalid_identifier');
    });

    it('other paths, what is no path, and other methods', async () => {
      for (const path of ['/', '/homes', '/homes/home-1', '/homes/home-1/move/now', '/v1/enrol', '/openapi']) {
        expectProblem(await ask({ path, method: 'GET' }), 404, 'unknown_command');
      }
      expectProblem(await ask({ path: '/homes/%zz/move', method: 'GET' }), 400, 'malformed_message');
      for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const answer = await ask({ method, ...(method === 'PUT' ? { body: {} } : {}) });
        expectProblem(answer, 405, 'unknown_command');
        expect(answer.headers['allow']).toBe('POST, GET, HEAD');
      }
    });
  });

  it('shows a renewed certificate from then on, and is as strict as before', async () => {
    service.setIdentity(await certificates.service('renewed'));
    const socket = connect({ host: '127.0.0.1', port: service.httpPort ?? 0, ca: certificates.ca, ...operator });
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().subject.CN).toBe('renewed');
    socket.destroy();
    expectProblem(await ask({ method: 'GET' }), 404, 'not_enrolled');
    const caller = { port: service.httpPort ?? 0, ca: certificates.ca };
    await expect(askRest(caller, { path: movePath, method: 'GET' })).rejects.toThrow();
  });
});
