import { z } from 'zod';
import { command, response } from './define.js';
import { brokerIp, brokerPort, certificateRequest, pemBundle, readBrokerPort } from './values.js';

// Additions of this platform: the standard has no words for a certificate that ends and a home that moves. They use the
// standard's own command and report for credentials, on the topic that a device has for itself on its home's broker.

const renewWord = z.literal('RENEW_CERTIFICATE');
const renewal = {
  request: renewWord,
  serial_number: z
    .string()
    .regex(/^[0-9A-F]{2,40}$/, 'must be a serial number in upper-case hex')
    .optional()
    .describe('Of the certificate that the device came with: those before it are not needed any more.'),
  csr: certificateRequest.optional().describe('PEM PKCS#10, for another key.'),
};

export const renewCertificate = command({
  name: 'renewCertificate',
  command: 'mqtt_credentials',
  revision: '1.0',
  direction: 'device-to-platform',
  topics: ['deviceTopics', 'deviceTopic'],
  limits: 'onboarding',
  doc: 'The device asks for the certificate after its own, for the same key or for that of a request; an addition of this platform.',
  value: z.strictObject(renewal),
  reads: z.object(renewal),
});

export const certificateRenewed = response({
  name: 'certificateRenewed',
  report: 'mqtt_credentials',
  revision: '1.0',
  direction: 'platform-to-device',
  topics: ['deviceTopics', 'deviceTopic'],
  limits: 'onboarding',
  doc: 'The next certificate with its chain; the one before works until the next has been used. An addition of this platform.',
  value: z.strictObject({ device_certificate: pemBundle.describe('PEM bundle in one string, without a key.') }),
  reads: z.object({ device_certificate: pemBundle, broker_ip: z.undefined().optional() }),
});

export const brokerMoved = response({
  name: 'brokerMoved',
  report: 'mqtt_credentials',
  revision: '1.0',
  direction: 'platform-to-device',
  topics: ['deviceTopics', 'deviceTopic'],
  limits: 'onboarding',
  doc: 'The home’s broker is there now; the device keeps its certificate. Broker data without a certificate, an addition of this platform.',
  value: z.strictObject({ broker_ip: brokerIp, broker_port: brokerPort }),
  reads: z.object({
    broker_ip: brokerIp,
    broker_port: readBrokerPort,
    device_certificate: z.undefined().optional(),
  }),
});
