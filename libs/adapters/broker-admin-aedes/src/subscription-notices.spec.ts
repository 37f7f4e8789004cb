import { subscriptionNoticesTopic } from '@mqtt2go/access';
import { Collector, waitFor, Certificates, subscribes } from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedSubscriptionNotices } from './subscription-notices.js';
import { device, Stage } from './test-support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start(await Certificates.create(), 'home');
});
afterAll(() => stage.close());

const topicOf = (id: string): string => `home-1/gw-1/living/socket/${id}`;

/** What a client hears: notices as the devices and filters that they tell of, all else as it is. */
function hears(client: MqttClient): Collector<unknown> {
  const heard = new Collector<unknown>();
  client.on('message', (topic, payload) =>
    heard.add(embeddedSubscriptionNotices.read(topic, payload) ?? payload.toString()),
  );
  return heard;
}

describe('an embedded home broker', () => {
  it('tells who listens, between what the device does not hear and what it does', async () => {
    const relay = stage.service('federation');
    const heard = hears(relay);
    const filters = [embeddedSubscriptionNotices.filter, 'home-1/+/+/+/+'];
    await relay.subscribeAsync(filters, { qos: 1 });
    const app = await stage.connect(await stage.addController('owner'));
    const lamp = await stage.connect(await stage.addDevice('lamp'));
    const told = hears(lamp);
    await app.publishAsync(topicOf('lamp'), 'before', { qos: 1 });
    await lamp.subscribeAsync({ 'another/topics': { qos: 1 }, [topicOf('lamp')]: { qos: 1 } }).catch(() => undefined);
    await app.publishAsync(topicOf('lamp'), 'after', { qos: 1 });
    expect(await heard.first(4)).toEqual([
      // Its own: whoever hears it knows that the broker tells.
      { deviceId: undefined, filters },
      'before',
      { deviceId: 'lamp', filters: [topicOf('lamp')] },
      'after',
    ]);
    expect(await told.first(1)).toEqual(['after']);
  });

  it('keeps notices for one who is away, as it does messages', async () => {
    const relay = stage.serviceSession('federation', 'relay');
    const own = hears(relay).first(1);
    await relay.subscribeAsync([embeddedSubscriptionNotices.filter, 'home-1/+/+/+/+'], { qos: 1 });
    await own;
    await relay.endAsync();
    const plug = await stage.connect(await stage.addDevice('plug'));
    const app = await stage.connect(await stage.addController('another'));
    await app.publishAsync(topicOf('plug'), 'before', { qos: 1 });
    await plug.subscribeAsync(topicOf('plug'), { qos: 1 });
    const again = stage.serviceSession('federation', 'relay');
    expect(await hears(again).first(2)).toEqual(['before', { deviceId: 'plug', filters: [topicOf('plug')] }]);
  });

  it('tells nobody else', async () => {
    const others = [
      await stage.connect(await stage.addDevice('curious')),
      await stage.connect(await stage.addController('nosy')),
      stage.service('provisioning'),
      stage.service('topic-generator'),
    ];
    for (const client of others) {
      for (const filter of [subscriptionNoticesTopic, '$SYS/#', '$SYS/+/subscriptions']) {
        expect(await subscribes(client, filter)).toBe(false);
      }
    }
    const [curious] = others;
    const heard = hears(stage.service('federation'));
    await curious?.publishAsync(subscriptionNoticesTopic, '{"deviceId":"lamp","filters":["x"]}', { qos: 1 });
    expect(heard.items).toEqual([]);
  });

  it('reads nothing into what is no notice', () => {
    const read = (payload: string, topic = subscriptionNoticesTopic): unknown =>
      embeddedSubscriptionNotices.read(topic, Buffer.from(payload));
    for (const payload of ['', 'null', '{', '{"filters":1}', '{"deviceId":"a/b","filters":[]}']) {
      expect(read(payload)).toBeUndefined();
    }
    expect(read('{"filters":[]}', topicOf('lamp'))).toBeUndefined();
    expect(read('{"filters":["a"]}')).toEqual({ deviceId: undefined, filters: ['a'] });
  });
});

describe('a device whose home has left and comes back', () => {
  it('has no session here any more, unless something waits in it', async () => {
    const app = await stage.connect(await stage.addController('resident'));
    const sleep = async (id: string, waiting: readonly string[]): Promise<Collector<string>> => {
      const credentials = { ...(await stage.addDevice(id)), clean: false };
      const before = await stage.connect(credentials);
      await before.subscribeAsync(topicOf(id), { qos: 1 });
      await before.endAsync();
      for (const text of waiting) await app.publishAsync(topicOf(id), text, { qos: 1 });
      await stage.admin.put([device(id, { hasMoved: true })]);
      await stage.admin.put([device(id)]);
      await app.publishAsync(topicOf(id), 'while it is on its way', { qos: 1 });
      const outcome = new Collector<string>();
      const after = await stage.connect(credentials);
      after.on('message', (_, payload) => outcome.add(payload.toString()));
      await after.subscribeAsync(topicOf(id), { qos: 1 });
      await app.publishAsync(topicOf(id), 'now that it listens', { qos: 1 });
      await waitFor(() => outcome.items.includes('now that it listens'), 'the last one');
      return outcome;
    };
    expect((await sleep('gone', [])).items).toEqual(['now that it listens']);
    // Of what is kept on connecting the first may be heard before anybody listens for it here.
    expect((await sleep('asleep', ['one', 'two'])).items.slice(-2)).toEqual([
      'while it is on its way',
      'now that it listens',
    ]);
  });
});
