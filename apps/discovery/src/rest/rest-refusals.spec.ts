import type { RestAnswer } from '@mqtt2go/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Asked, DiscoveryStand } from '../testing/discovery-stand.js';

describe('what the Discovery server refuses', () => {
  let stand: DiscoveryStand;

  beforeAll(async () => {
    stand = await DiscoveryStand.create();
  });
  afterAll(() => stand.close());

  const expectProblem = (answer: RestAnswer, status: number, code: string): void => {
    expect(answer.json).toMatchObject({ status, code, type: `urn:mqtt2go:error:${code}` });
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  };

  describe('callers', () => {
    const post = (): Asked => ({ body: stand.announcement() });

    it('closes the door to a caller without a certificate', async () => {
      await expect(stand.askWithoutCertificate(post())).rejects.toThrow();
    });

    it('closes the door to a device’s certificate', async () => {
      await expect(stand.ask(post(), stand.identities.device('provisioning'))).rejects.toThrow();
    });

    it('closes the door to a service certificate of a foreign CA', async () => {
      const { identities } = stand;
      await expect(stand.ask(post(), identities.service('provisioning', identities.foreignCa))).rejects.toThrow();
    });

    it.each(['discovery', 'operator', 'topic-generator', 'Provisioning', 'provisioning2'])(
      'refuses the service %s',
      async (service) => {
        expectProblem(await stand.ask(post(), stand.identities.service(service)), 403, 'forbidden');
        const path = '/activate_device/lamp-1?onboarding_id=00000000-0000-4000-8000-000000000001';
        expectProblem(await stand.ask({ method: 'DELETE', path }, stand.identities.service(service)), 403, 'forbidden');
      },
    );

    it('goes on for provisioning after all that', async () => {
      expect((await stand.ask(post())).status).toBe(201);
    });
  });

  describe('requests', () => {
    it.each(['', '{', 'null', '"text"', '[]', '12', '{"device_id":', '\u0000', '{"__proto__":{"a":1}}'])(
      'refuses the body %j',
      async (body) => {
        expectProblem(await stand.ask({ body }), 400, 'malformed_message');
      },
    );

    it('refuses a body of another type', async () => {
      const headers = { 'content-type': 'text/xml' };
      expectProblem(await stand.ask({ body: '<a/>', headers }), 415, 'malformed_message');
    });

    it('refuses a body over 64 KiB, told or not', async () => {
      const body = { ...stand.announcement(), device_certificate: 'x'.repeat(70_000) };
      expectProblem(await stand.ask({ body }), 413, 'message_too_large');
      const headers = { 'transfer-encoding': 'chunked' };
      expectProblem(await stand.ask({ body, headers }), 413, 'message_too_large');
    });

    it.each(['a/b', '+', '#', 'lamp+', '$SYS', 'a b', 'ä', '', 'x'.repeat(65)])('refuses the ids %j', async (id) => {
      expectProblem(await stand.announce({ device_id: id }), 400, 'invalid_identifier');
      expectProblem(await stand.announce({ activation_code: id }), 400, 'invalid_identifier');
    });

    it('refuses such ids in a path too', async () => {
      const query = 'onboarding_id=00000000-0000-4000-8000-000000000001';
      for (const id of ['a%2Fb', '%2B', '%23', '%00']) {
        const answer = await stand.ask({ method: 'DELETE', path: `/activate_device/${id}?${query}` });
        expectProblem(answer, 400, 'invalid_identifier');
      }
      expectProblem(await stand.ask({ method: 'DELETE', path: '/activate_device/lamp-1' }), 400, 'invalid_identifier');
    });

    it.each([
      { broker_ip: 'mqtts://home.example' },
      { broker_port: 0 },
      { broker_port: '8883' },
      { key_mode: 'none' },
      { key_mode: 'csr' },
      { device_certificate: undefined },
      { expires_at: 'soon' },
      { revision: '' },
    ])('refuses %j', async (changes) => {
      expectProblem(await stand.announce(changes), 400, 'malformed_message');
    });

    it('knows no other paths', async () => {
      for (const path of ['/', '/activate', '/activate_device/a/b', '/openapi']) {
        expectProblem(await stand.ask({ method: 'GET', path }), 404, 'unknown_command');
      }
    });

    it('names the methods that a path takes', async () => {
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const answer = await stand.ask({ method, ...(method === 'PUT' ? { body: {} } : {}) });
        expectProblem(answer, 405, 'unknown_command');
        expect(answer.headers['allow']).toBe('POST');
      }
      const post = await stand.ask({ method: 'POST', path: '/activate_device/lamp-1', body: {} });
      expectProblem(post, 405, 'unknown_command');
      expect(post.headers['allow']).toBe('DELETE');
    });

    it('refuses a path that is no URL', async () => {
      expectProblem(await stand.ask({ method: 'DELETE', path: '/activate_device/%zz' }), 400, 'malformed_message');
    });
  });

  it('refuses headers without an end', async () => {
    const headers = { 'x-long': 'x'.repeat(20_000) };
    expectProblem(await stand.ask({ method: 'GET', path: '/', headers }), 431, 'malformed_message');
  });

  it('counts refusals by their code', async () => {
    await stand.announce({ device_id: '#' });
    expect(await stand.service.metrics()).toMatch(
      /mqtt2go_discovery_refusals_total\{code="invalid_identifier",.*\} \d+/,
    );
  });

  it('is healthy after all that', async () => {
    expect(await stand.service.health()).toMatchObject({ name: 'discovery', status: 'up' });
  });
});
