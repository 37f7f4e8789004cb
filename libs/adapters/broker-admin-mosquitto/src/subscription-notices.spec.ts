import { describe, expect, it } from 'vitest';
import { mosquittoSubscriptionNotices, subscriptionLogTopic } from './subscription-notices.js';

const read = (line: string, topic = subscriptionLogTopic) =>
  mosquittoSubscriptionNotices.read(topic, Buffer.from(line));

describe('Mosquitto’s log of subscriptions', () => {
  it.each([
    '2026-01-01T00:00:00Z: lamp-1 1 home-1/gw/living/light/lamp-1',
    '1767225600: lamp-1 1 home-1/gw/living/light/lamp-1',
    'lamp-1 1 home-1/gw/living/light/lamp-1',
    'serialNumber=lamp-1,CN=lamp-1,O=MQTT2GO 1 home-1/gw/living/light/lamp-1',
    '1767225600: CN=lamp-1,OU=home 4ea140588150773ce3aace786aeef7f4049ce100,O=MQTT2GO 1 home-1/gw/living/light/lamp-1',
  ])('tells of a device: %s', (line) =>
    expect(read(line)).toEqual({ deviceId: 'lamp-1', filters: ['home-1/gw/living/light/lamp-1'] }),
  );

  it('tells of others without a name', () => {
    expect(read('2026-01-01T00:00:00Z: service:federation-moving-home-1 1 home-1/+/+/+/+')).toEqual({
      deviceId: undefined,
      filters: ['home-1/+/+/+/+'],
    });
  });

  it.each(['', 'lamp-1', 'lamp-1 128 home-1/gw/living/light/lamp-1', 'lamp-1 1', '\0\xff'])(
    'tells of nothing by %j',
    (line) => expect(read(line)).toBeUndefined(),
  );

  it('is on its own topic', () => {
    expect(read('lamp-1 1 a/b', 'home-1/gw/living/light/lamp-1')).toBeUndefined();
  });
});
