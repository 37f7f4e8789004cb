import { contractController, contractDevice } from '@mqtt2go/ports/testing';
import { silentLogger, waitFor } from '@mqtt2go/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HttpBrokerAdmin } from './http-broker-admin.js';
import { Asker } from './testing/asker.js';
import { type EndpointStage, openEndpoint } from './testing/endpoint-stage.js';
import { createTestPki, type TestPki } from './testing/test-pki.js';

let pki: TestPki;
let stage: EndpointStage;

beforeAll(async () => {
  pki = await createTestPki();
});
beforeEach(async () => {
  stage = await openEndpoint(pki, 'rabbitmq');
});
afterEach(() => stage.close());

const plug = 'urn:mqtt2go:device:plug-1:0A01';
const signIn = { username: plug, vhost: '/', client_id: 'plug-1' };

describe('the access endpoint', () => {
  it('answers nobody but a broker', async () => {
    const strangers = [
      { ca: pki.servicesCa, ...(await pki.service('provisioning')) },
      { ca: pki.servicesCa, ...(await pki.service('topic-generator')) },
    ];
    for (const stranger of strangers) {
      const asker = new Asker(stage.admin.port, stranger);
      expect((await asker.form('/rabbitmq/user', signIn)).status).toBe(403);
      asker.close();
    }
    const foreign = await createTestPki();
    const outsiders = [{}, await pki.device('broker'), await foreign.service('broker')];
    for (const outsider of outsiders) {
      const asker = new Asker(stage.admin.port, { ca: pki.servicesCa, ...outsider });
      await expect(asker.form('/rabbitmq/user', signIn)).rejects.toThrow();
      asker.close();
    }
    expect(stage.admin.stats()).toMatchObject({ answered: 0, strangers: expect.any(Number) });
  });

  it('says when it cannot know yet, instead of no', async () => {
    expect((await stage.asker.form('/rabbitmq/user', signIn)).status).toBe(503);
    expect(() => stage.admin.checkHealth()).toThrow('not complete');
    await stage.admin.put([contractDevice()]);
    expect((await stage.asker.form('/rabbitmq/user', signIn)).body).toBe('allow');
    await stage.admin.replaceAll([]);
    expect((await stage.asker.form('/rabbitmq/user', signIn)).body).toBe('deny');
    expect(() => stage.admin.checkHealth()).not.toThrow();
  });

  it('has its answers kept by nobody', async () => {
    await stage.admin.replaceAll([contractDevice()]);
    expect((await stage.asker.form('/rabbitmq/user', signIn)).cacheControl).toBe('no-store');
  });

  it('reads no more than a question can be long, and nothing that it does not know', async () => {
    const { asker } = stage;
    expect((await asker.form('/rabbitmq/user', { ...signIn, more: 'x'.repeat(20_000) })).status).toBe(413);
    expect((await asker.form('/rabbitmq/nothing', signIn)).status).toBe(404);
    expect((await asker.form('/emqx/authentication', signIn)).status).toBe(404);
    expect((await asker.send('PUT', '/rabbitmq/user')).status).toBe(405);
    const twice = 'username=a&username=b&vhost=%2F&client_id=a';
    expect((await asker.send('POST', '/rabbitmq/user', twice, 'application/x-www-form-urlencoded')).status).toBe(400);
    expect((await asker.send('POST', '/rabbitmq/user', '[1]', 'application/json')).status).toBe(400);
    expect((await asker.form('/rabbitmq/user', {})).body).toBe('deny');
  });

  it('counts answers and their time', async () => {
    await stage.admin.replaceAll([contractDevice()]);
    await stage.asker.form('/rabbitmq/user', signIn);
    await stage.asker.form('/rabbitmq/user', { ...signIn, client_id: 'plug-2' });
    const stats = stage.admin.stats();
    expect(stats).toMatchObject({ answered: 2, denied: 1, principals: 1, isCopyComplete: true });
    expect(stats.p99Ms).toBeGreaterThan(0);
  });

  it('is in the way of nobody else on its port', async () => {
    await expect(
      openEndpoint(pki, 'rabbitmq', {
        endpoint: {
          host: '127.0.0.1',
          port: stage.admin.port,
          ca: pki.servicesCa,
          ...(await pki.service('topic-generator')),
        },
      }),
    ).rejects.toMatchObject({ code: 'port_in_use' });
  });
});

describe('the end of sessions', () => {
  const deleted = (): string[] => stage.management.takeDeleted();
  const connection = (name: string): string => `/api/connections/username/${name}`;
  const queues = ['/api/queues/%2F/mqtt-subscription-plug-1qos0', '/api/queues/%2F/mqtt-subscription-plug-1qos1'].map(
    decodeURIComponent,
  );

  it('comes with the removal of a device, and leaves nothing of its sessions', async () => {
    await stage.admin.put([contractDevice({ certificateSerials: ['0A01', '0A02'] })]);
    await stage.admin.remove([{ kind: 'device', id: 'plug-1' }]);
    expect(deleted()).toEqual([connection(plug), connection(plug.replace('0A01', '0A02')), ...queues]);
    expect(stage.management.authorization).toBe(
      `Basic ${Buffer.from('mqtt2go-access:a-random-token-of-160-bits').toString('base64')}`,
    );
  });

  it('is of the dropped certificate alone', async () => {
    await stage.admin.put([contractDevice({ certificateSerials: ['0A01', '0A02'] })]);
    await stage.admin.put([contractDevice({ certificateSerials: ['0A02', '0A03'] })]);
    expect(deleted()).toEqual([connection(plug)]);
  });

  it('comes with other rights and with a new password, and with nothing else', async () => {
    await stage.admin.put([contractDevice(), contractController()]);
    await stage.admin.put([contractDevice({ certificateSerials: ['0A01', '0A02'] }), contractController()]);
    expect(deleted()).toEqual([]);
    await stage.admin.put([contractController({}, 'second-password')]);
    expect(deleted()).toEqual([connection('phone-1@home-1')]);
    stage.management.answers.set('/api/queues/%2F', {
      page_count: 1,
      items: [{ name: 'mqtt-subscription-phone-1@home-1/appqos1' }],
    });
    await stage.admin.put([contractController({ role: 'guest' }, 'second-password')]);
    expect(deleted().filter((line) => !line.startsWith('/api/connections'))).toEqual([
      '/api/queues///mqtt-subscription-phone-1@home-1/appqos1',
    ]);
  });

  it('is told again until the broker confirms, and refused from the first moment on', async () => {
    await stage.admin.put([contractDevice()]);
    stage.management.isAway = true;
    await expect(stage.admin.remove([{ kind: 'device', id: 'plug-1' }])).rejects.toMatchObject({ code: 'unavailable' });
    expect((await stage.asker.form('/rabbitmq/user', signIn)).body).not.toBe('allow');
    stage.management.isAway = false;
    await stage.admin.remove([{ kind: 'device', id: 'plug-1' }]);
    expect(deleted()).toContain(connection(plug));
  });

  it('is told once more a moment later, for who was just being let in', async () => {
    await stage.admin.put([contractDevice()]);
    await stage.admin.remove([{ kind: 'device', id: 'plug-1' }]);
    deleted();
    await waitFor(() => stage.management.asked.includes(`DELETE ${connection(plug)}`), 'the second time');
  });

  it('comes over those that the copy does not have, and over old ones of controllers', async () => {
    const started = stage.clock.now();
    const listed = (user: string, clientId: string, connectedAt = started) => ({
      user,
      client_properties: { client_id: clientId },
      connected_at: connectedAt,
    });
    stage.management.answers.set('/api/connections', {
      page_count: 1,
      items: [
        listed(plug, 'plug-1'),
        listed('urn:mqtt2go:device:plug-2:0A01', 'plug-2'),
        listed('urn:mqtt2go:service:provisioning:01', 'service:provisioning-devices'),
        listed('phone-1@home-1', 'phone-1@home-1/new'),
        listed('old@home-1', 'old@home-1/app', started - 1),
        { name: 'something else' },
      ],
    });
    await stage.admin.replaceAll([contractDevice(), contractController(), contractController({ id: 'old@home-1' })]);
    expect(deleted()).toEqual([connection('urn:mqtt2go:device:plug-2:0A01'), connection('old@home-1')]);
  });
});

describe('a copy for RabbitMQ', () => {
  it('does not take what a routing key cannot carry, and all the rest', async () => {
    const dotted = contractDevice({ id: 'plug.1' });
    await expect(stage.admin.put([contractDevice(), dotted])).rejects.toMatchObject({ code: 'invalid_identifier' });
    await stage.admin.replaceAll([contractDevice(), dotted, contractController({ id: 'a@h.1', homeId: 'h.1' })]);
    expect(stage.admin.stats().principals).toBe(1);
  });

  it('is asked for again until it could be rebuilt', async () => {
    let tries = 0;
    const stop = stage.admin.onCopyLost(async () => {
      tries += 1;
      if (tries < 3) throw new Error('the database is away');
      await stage.admin.replaceAll([contractDevice()]);
    });
    await waitFor(() => stage.admin.stats().isCopyComplete, 'a complete copy');
    expect(tries).toBe(3);
    stop();
  });

  it('holds 100,000 devices', async () => {
    await stage.admin.replaceAll(
      (function* () {
        for (let i = 0; i < 100_000; i += 1) yield contractDevice({ id: `plug-${i}`, homeId: `home-${i % 1_000}` });
      })(),
    );
    const far = { username: 'urn:mqtt2go:device:plug-99999:0A01', vhost: '/', client_id: 'plug-99999' };
    expect((await stage.asker.form('/rabbitmq/user', far)).body).toBe('allow');
    expect(stage.admin.stats().principals).toBe(100_000);
  });

  it('is of home brokers only, whose trust anchors never change', async () => {
    await expect(stage.admin.setTrustAnchors()).rejects.toMatchObject({ code: 'configuration_invalid' });
    await stage.admin.close();
    await expect(stage.admin.put([contractDevice()])).rejects.toMatchObject({ code: 'unavailable' });
    expect(silentLogger).toBeDefined();
    expect(stage.admin).toBeInstanceOf(HttpBrokerAdmin);
  });
});
