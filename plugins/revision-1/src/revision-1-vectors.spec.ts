import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Inbound, Mqtt2goError, type Outbound } from '@mqtt2go/protocol';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Revision1Wire } from './revision-1-wire.js';

const wire = new Revision1Wire();
const { resolve } = createRequire(import.meta.url);
const vectorFile = z.object({
  topic: z.string(),
  payload: z.unknown(),
  // A record keeps the order of the keys, which is part of the vector.
  sent: z.record(z.string(), z.unknown()),
});

function vector(name: string): z.output<typeof vectorFile> {
  const file = resolve(`@mqtt2go/protocol/vectors/${name}.json`);
  return vectorFile.parse(JSON.parse(readFileSync(file, 'utf8')));
}

type Unaddressed = Inbound extends infer M ? (M extends Inbound ? Omit<M, 'reply'> : never) : never;
const inbound: readonly [string, Unaddressed][] = [
  [
    'activateDevice',
    {
      kind: 'activate-device',
      homeId: 'home_id',
      gatewayId: 'gw_id',
      activationCode: 'activation_code',
      deviceId: 'device_id',
    },
  ],
  ['getBrokerData', { kind: 'get-broker-data', activationCode: 'activation_code' }],
  ['getCredentials', { kind: 'get-credentials', activationCode: 'activation_code' }],
  ['getWifiCredentials', { kind: 'get-wifi-credentials', activationCode: 'activation_code' }],
  ['getDeviceTopics', { kind: 'get-device-topics', deviceId: 'device_id' }],
  ['getDeviceTopic', { kind: 'get-device-topics', deviceId: 'device_id' }],
  ['renewCertificate', { kind: 'renew-certificate', deviceId: 'device_id' }],
  [
    'renameDevice',
    {
      kind: 'rename-device',
      homeId: 'home_id',
      gatewayId: 'gw_id',
      deviceId: 'device_id',
      deviceName: 'device_name',
      groupIds: ['group_id'],
    },
  ],
];

const outbound: readonly [string, Outbound][] = [
  [
    'brokerData',
    { kind: 'broker-data', brokerHost: 'broker_ip', brokerPort: 8883, deviceCertificate: 'device_certificate' },
  ],
  ['credentials', { kind: 'credentials', deviceCertificate: 'device_certificate' }],
  ['wifiCredentials', { kind: 'wifi-credentials', ssid: 'SSID', password: 'password' }],
  ['renameRequest', { kind: 'rename-requested', deviceId: 'device_id', deviceType: 'device_type' }],
  ['deviceTopics', { kind: 'device-topics', topics: ['topic_1', 'topic_2', 'topic_3'] }],
  ['deviceTopic', { kind: 'device-topics', topics: ['topic'] }],
  ['certificateRenewed', { kind: 'certificate-renewed', deviceCertificate: 'device_certificate' }],
  ['brokerMoved', { kind: 'broker-moved', brokerHost: 'broker_ip', brokerPort: 8883 }],
  ['renameDone', { kind: 'command-done', command: 'rename-device' }],
  ['onboardingProgress', { kind: 'onboarding-progress', deviceId: 'device_id', state: 'announced' }],
];

describe('the golden vectors', () => {
  it.each(inbound)('%s is understood to the letter', (name, expected) => {
    const { topic, payload } = vector(name);
    const bytes = new TextEncoder().encode(JSON.stringify(payload));
    const isActivation = /\/(activation|wifi)$/.test(topic);
    const reading = isActivation ? wire.readActivation(topic, bytes) : wire.readHome(topic, bytes);
    expect(reading).toEqual({
      outcome: 'message',
      message: { ...expected, reply: { revision: '1.0', topic } },
    });
  });

  it.each(outbound)('%s is written to the letter', (name, message) => {
    const { topic, sent } = vector(name);
    const publication = wire.write(message, { revision: '1.0', topic }, Number(sent['timestamp']) * 1000);
    expect(publication).toEqual({ topic, payload: JSON.stringify(sent) });
  });

  it('a refusal has the form of the standard’s own', () => {
    const { sent } = vector('commandRefused');
    const error = new Mqtt2goError('conflict');
    const refused: Outbound = { kind: 'command-refused', command: 'activate-device', error };
    const { payload } = wire.write(
      refused,
      { revision: '1.0', topic: 'h/g/add_device' },
      Number(sent['timestamp']) * 1000,
    );
    expect(JSON.parse(payload)).toEqual({
      ...sent,
      report_name: 'activate_device',
      value: { event: 'error', reason: 'conflict' },
    });
  });
});
