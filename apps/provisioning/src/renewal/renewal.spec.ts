import { Mqtt2goError } from '@mqtt2go/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ProvisioningStand } from '../testing/provisioning-stand.js';

describe('a device’s request for its next certificate', () => {
  let stand: ProvisioningStand;
  const request = (value: object | string) => ({
    type: 'command',
    timestamp: 0,
    command_type: 'mqtt_credentials',
    value,
  });
  const renew = { request: 'RENEW_CERTIFICATE' };

  beforeAll(async () => {
    stand = await ProvisioningStand.create();
    await stand.start();
  });
  afterEach(() => {
    stand.neighbours.before = () => undefined;
  });
  afterAll(() => stand.close());

  it('goes to the certificate authority in the name of whose topic it is, and is answered there', async () => {
    const from = stand.heard.length;
    await stand.publish('lamp-1/topics', request({ ...renew, serial_number: '0A1B', csr: 'PEM' }));
    const { value } = await stand.report(({ report_name: name }) => name === 'mqtt_credentials', from);
    expect(value).toEqual({ device_certificate: 'PEM of lamp-1 after 0A1B' });
    expect(stand.neighbours.renewals).toEqual([{ deviceId: 'lamp-1', serialNumber: '0A1B', csr: 'PEM' }]);
  });

  it('is answered in the form of topic that it came on', async () => {
    const from = stand.heard.length;
    await stand.publish('/lamp-2/topic', request(renew));
    const { topic } = await stand.report(({ report_name: name }) => name === 'mqtt_credentials', from);
    expect(topic).toBe('/lamp-2/topic');
    expect(stand.neighbours.renewals.at(-1)).toEqual({ deviceId: 'lamp-2' });
  });

  it.each(['certificate_revoked', 'unknown_certificate', 'too_many_attempts'] as const)(
    'is refused with the authority’s reason (%s), which is noted in the audit log',
    async (code) => {
      stand.neighbours.before = () => {
        throw new Mqtt2goError(code);
      };
      const deviceId = `lamp-${code}`;
      const from = stand.heard.length;
      await stand.publish(`${deviceId}/topics`, request(renew));
      expect(await stand.refusal('mqtt_credentials', `${deviceId}/topics`, from)).toBe(code);
    },
  );

  it.each([
    ['the word alone', 'RENEW_CERTIFICATE'],
    ['a serial number of another form', { ...renew, serial_number: 'x' }],
    ['a signing request that is no text', { ...renew, csr: {} }],
    ['the words for another broker', 'GET_BROKER_DATA'],
  ])('is refused with %s, and the authority is not asked', async (_what, value) => {
    const before = stand.neighbours.renewals.length;
    const from = stand.heard.length;
    await stand.publish('lamp-3/topics', request(value));
    expect(await stand.refusal('mqtt_credentials', 'lamp-3/topics', from)).toBe('malformed_message');
    expect(stand.neighbours.renewals).toHaveLength(before);
  });

  it('does not take an answer for a request', async () => {
    const before = stand.neighbours.renewals.length;
    const report = { type: 'report', report_type: 'command_response', timestamp: 0, report_name: 'mqtt_credentials' };
    await stand.publish('lamp-4/topics', { ...report, value: { device_certificate: 'PEM' } });
    await stand.publish('lamp-4/topics', request(renew));
    const certificate = { device_certificate: 'PEM of lamp-4 after undefined' };
    await stand.report(({ value }) => JSON.stringify(value) === JSON.stringify(certificate));
    expect(stand.neighbours.renewals).toHaveLength(before + 1);
  });
});
