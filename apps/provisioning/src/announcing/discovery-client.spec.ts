import { randomUUID } from 'node:crypto';
import { SystemClock } from '@mqtt2go/ports';
import type { ActivateDeviceRequest } from '@mqtt2go/protocol';
import { createTestCertificates, type TestCertificates } from '@mqtt2go/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ScriptedDiscovery } from '../testing/scripted-discovery.js';
import { DiscoveryClient } from './discovery-client.js';

describe('the Discovery client', () => {
  let certificates: TestCertificates;
  let server: ScriptedDiscovery;
  let client: DiscoveryClient;

  beforeAll(async () => {
    certificates = await createTestCertificates();
  });
  beforeEach(async () => {
    server = await ScriptedDiscovery.start(certificates);
    client = await clientOf(certificates.ca);
  });
  afterEach(async () => {
    await client.close();
    await server.close();
  });

  const clientOf = async (ca: string, limits = {}): Promise<DiscoveryClient> => {
    return new DiscoveryClient(
      { url: server.url, ca, ...(await certificates.service('provisioning')) },
      new SystemClock(),
      limits,
    );
  };
  const device = (): ActivateDeviceRequest => ({
    device_id: 'device-1',
    activation_code: 'CODE',
    onboarding_id: randomUUID(),
    revision: '1.0',
    broker_ip: 'home.example',
    broker_port: 18_883,
    key_mode: 'server-key',
    device_certificate: 'PEM',
    expires_at: new Date(0).toISOString(),
  });

  it('announces and withdraws with its certificate, over connections that are kept', async () => {
    const announced = device();
    await client.announce(announced);
    await client.announce(announced);
    expect(server.waiting.get('device-1')).toEqual(announced);
    for (let time = 0; time < 20; time += 1) await client.withdraw('device-1', announced.onboarding_id, 0);
    expect(server.waiting.size).toBe(0);
    expect(server.connections).toBeLessThanOrEqual(2);
    expect(new Set(server.requests.map(({ caller }) => caller))).toEqual(new Set(['provisioning']));
  });

  it('tries again when the server cannot, and when a connection breaks', async () => {
    let attempts = 0;
    server.instead = () => {
      attempts += 1;
      return attempts < 3 ? { status: 503 } : undefined;
    };
    await client.announce(device());
    expect(attempts).toBe(3);
  });

  it('gives up as unavailable', async () => {
    server.instead = () => ({ status: 503, body: { code: 'unavailable' } });
    await expect(client.announce(device())).rejects.toMatchObject({ code: 'unavailable' });
    expect(server.requests).toHaveLength(3);
    await server.close();
    await expect(client.announce(device())).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('waits no longer than it should', async () => {
    const impatient = await clientOf(certificates.ca, { timeoutMs: 50, retries: 0 });
    let answer = (): void => undefined;
    server.instead = () =>
      new Promise((resolve) => {
        answer = () => resolve(undefined);
      });
    await expect(impatient.announce(device())).rejects.toMatchObject({ code: 'unavailable' });
    answer();
    await impatient.close();
  });

  it('passes refusals on by their code, without another try', async () => {
    server.instead = () => ({ status: 409, body: { code: 'activation_code_in_use', detail: 'by another' } });
    await expect(client.announce(device())).rejects.toMatchObject({
      code: 'activation_code_in_use',
      message: 'by another',
    });
    expect(server.requests).toHaveLength(1);
  });

  it('takes an answer of another form for a defect', async () => {
    server.instead = () => ({ status: 200, body: { ok: true } });
    await expect(client.announce(device())).rejects.toMatchObject({ code: 'internal' });
    server.instead = () => ({ status: 404, body: '<html>' });
    await expect(client.announce(device())).rejects.toMatchObject({ code: 'internal' });
  });

  it('walks away from a server of another authority', async () => {
    const foreign = await createTestCertificates();
    const deceived = await clientOf(foreign.ca, { retries: 0 });
    await expect(deceived.announce(device())).rejects.toMatchObject({ code: 'unavailable' });
    expect(server.requests).toEqual([]);
    await deceived.close();
  });
});
