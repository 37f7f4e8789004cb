import {
  collectingLogger,
  Collector,
  deferred,
  startTestBroker,
  type TestBroker,
  waitFor,
  waitForEvent,
} from '@mqtt2go/testing';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { currentOnboardingId, withOnboarding } from '../logging/onboarding-context.js';
import { DeviceTraffic, type DeviceTrafficOptions } from './device-traffic.js';

let broker: TestBroker;
let stops: (() => Promise<unknown>)[];
let device: MqttClient;

beforeEach(async () => {
  broker = await startTestBroker();
  stops = [];
  device = broker.link('device').open('1');
  await waitForEvent(device, 'connect');
});
afterEach(async () => {
  for (const stop of stops.reverse()) {
    await stop();
  }
  await device.endAsync(true);
  await broker.close();
});

async function traffic(options: DeviceTrafficOptions = {}): Promise<DeviceTraffic> {
  const created = new DeviceTraffic(broker.link('provisioning'), options);
  stops.push(() => created.close());
  await waitFor(() => isUp(created), 'the connection');
  return created;
}

function isUp(devices: DeviceTraffic): boolean {
  try {
    devices.checkHealth();
    return true;
  } catch {
    return false;
  }
}

describe('device traffic', () => {
  it('hands over the very bytes, whatever keys they hold', async () => {
    const seen = new Collector<string>();
    const devices = await traffic();
    await devices.listen(['+/topics'], async (_topic, payload) => seen.add(payload.toString('latin1')));
    const payloads = [
      '{"data":1,"type":"command"}',
      '{"id":"x","pattern":"y"}',
      '{"response":1,"err":2,"isDisposed":true,"id":"z"}',
      'no json',
      '',
      '\xff\xfe\x00',
    ];
    for (const payload of payloads) {
      await device.publishAsync('lamp/topics', Buffer.from(payload, 'latin1'), { qos: 1 });
    }
    expect(await seen.first(payloads.length)).toEqual(payloads);
  });

  it('answers nothing by itself', async () => {
    const published = new Collector<string>();
    broker.aedes.on('publish', ({ topic }) => published.add(topic));
    const seen = new Collector<string>();
    const devices = await traffic();
    await devices.listen(['+/topics'], async (topic) => seen.add(topic));
    await device.publishAsync('lamp/topics', '{"id":"x","data":{}}', { qos: 1 });
    await seen.first(1);
    await devices.publish({ topic: 'marker', payload: '' });
    await waitFor(() => published.items.includes('marker'));
    expect(published.items.filter((topic) => !topic.startsWith('$SYS'))).toEqual(['lamp/topics', 'marker']);
  });

  it('gives each message once, with the leading slash and without, also where filters overlap', async () => {
    const seen = new Collector<string>();
    const devices = await traffic();
    await devices.listen(['+/+/add_device', '/+/+/add_device', '+/+/+'], async (topic) => seen.add(topic));
    await device.publishAsync('h/g/add_device', 'x', { qos: 1 });
    await device.publishAsync('/h/g/add_device', 'x', { qos: 1 });
    await device.publishAsync('h/g/last', 'x', { qos: 1 });
    expect(await seen.first(3)).toEqual(['h/g/add_device', '/h/g/add_device', 'h/g/last']);
  });

  it('publishes the payload alone', async () => {
    await device.subscribeAsync('lamp/#', { qos: 1 });
    const devices = await traffic();
    const arrived = waitForEvent<[string, Buffer, { qos: number; retain: boolean }]>(device, 'message');
    await devices.publish({ topic: 'lamp/topics', payload: '{"type":"report"}' });
    const [topic, payload, packet] = await arrived;
    expect([topic, payload.toString(), packet.qos, packet.retain]).toEqual([
      'lamp/topics',
      '{"type":"report"}',
      1,
      false,
    ]);
  });

  it('goes on after a handler that rejects', async () => {
    const { log, lines } = collectingLogger();
    const seen = new Collector<string>();
    const outcomes = new Collector<boolean>();
    const devices = await traffic({ log, onHandled: (_ms, succeeded) => outcomes.add(succeeded) });
    await devices.listen(['#'], async (_topic, payload) => {
      seen.add(payload.toString());
      if (seen.items.length === 1) {
        throw new Error('no');
      }
    });
    await device.publishAsync('a', 'first', { qos: 1 });
    await device.publishAsync('a', 'second', { qos: 1 });
    expect(await seen.first(2)).toEqual(['first', 'second']);
    expect(await outcomes.first(2)).toEqual([false, true]);
    expect(lines.filter((line) => line['msg'] === 'a message could not be handled')).toHaveLength(1);
  });

  it('drops a payload over the limit', async () => {
    const { log, lines } = collectingLogger();
    const seen = new Collector<number>();
    const devices = await traffic({ maxPayloadBytes: 100, log });
    await devices.listen(['#'], async (_topic, payload) => seen.add(payload.length));
    await device.publishAsync('a', 'x'.repeat(101), { qos: 1 });
    await device.publishAsync('a', 'x'.repeat(100), { qos: 1 });
    expect(await seen.first(1)).toEqual([100]);
    expect(lines).toContainEqual(expect.objectContaining({ bytes: 101, msg: 'message dropped: it is too large' }));
  });

  it('rejects when the broker refuses a filter', async () => {
    broker.aedes.authorizeSubscribe = (_client, subscription, done) =>
      done(null, subscription.topic === 'forbidden' ? null : subscription);
    const devices = await traffic();
    await expect(devices.listen(['allowed', 'forbidden'], async () => {})).rejects.toMatchObject({
      code: 'forbidden',
      message: 'the broker refuses the subscription to forbidden',
    });
  });

  it('gets what was sent while it was away, and hears again after the broker was', async () => {
    const seen = new Collector<string>();
    const devices = await traffic();
    await devices.listen(['#'], async (_topic, payload) => seen.add(payload.toString()));
    broker.refuse = true;
    broker.disconnectAll();
    await waitFor(() => !isUp(devices));
    await expect(devices.publish({ topic: 'a', payload: '' })).rejects.toMatchObject({ code: 'unavailable' });
    broker.aedes.publish(
      { cmd: 'publish', topic: 'a', payload: 'meanwhile', qos: 1, dup: false, retain: false },
      () => {},
    );
    broker.refuse = false;
    expect(await seen.first(1)).toEqual(['meanwhile']);
    await waitFor(() => isUp(devices));
    await devices.publish({ topic: 'a', payload: 'after' });
    expect(await seen.first(2)).toEqual(['meanwhile', 'after']);
  });

  it('gives up a message for which the broker ends the connection, and sends the next', async () => {
    const devices = await traffic();
    broker.aedes.authorizePublish = (_client, packet, done) =>
      done(packet.topic === 'forbidden' ? new Error('no') : null);
    await expect(devices.publish({ topic: 'forbidden', payload: '' })).rejects.toMatchObject({ code: 'unavailable' });
    await waitFor(() => isUp(devices));
    await devices.publish({ topic: 'allowed', payload: '' });
  });

  it('subscribes again at a broker that has forgotten its session', async () => {
    const seen = new Collector<string>();
    const devices = await traffic({ session: 'clean' });
    await devices.listen(['a'], async (_topic, payload) => seen.add(payload.toString()));
    const subscribed = waitForEvent(broker.aedes, 'subscribe', (list: { topic: string }[]) => list[0]?.topic === 'a');
    broker.disconnectAll();
    await subscribed;
    broker.aedes.publish({ cmd: 'publish', topic: 'a', payload: 'x', qos: 1, dup: false, retain: false }, () => {});
    expect(await seen.first(1)).toEqual(['x']);
  });

  it('asks again for a subscription that is refused after a reconnect', async () => {
    const { log, lines } = collectingLogger();
    const seen = new Collector<string>();
    const devices = await traffic({ session: 'clean', log });
    await devices.listen(['a'], async (_topic, payload) => seen.add(payload.toString()));
    const allow = broker.aedes.authorizeSubscribe;
    broker.aedes.authorizeSubscribe = (_client, _subscription, done) => done(null, null);
    broker.disconnectAll();
    await waitFor(() => lines.some((line) => String(line['msg']).startsWith('subscription refused')));
    const subscribed = waitForEvent(broker.aedes, 'subscribe', (list: { qos: number }[]) => list[0]?.qos === 1);
    broker.aedes.authorizeSubscribe = allow;
    await subscribed;
    broker.aedes.publish({ cmd: 'publish', topic: 'a', payload: 'x', qos: 1, dup: false, retain: false }, () => {});
    expect(await seen.first(1)).toEqual(['x']);
  });

  it('carries no onboarding over from whoever sent a message inside the process', async () => {
    const ids = new Collector<string | undefined>();
    const devices = await traffic();
    await devices.listen(['a'], async () => ids.add(currentOnboardingId()));
    await withOnboarding('ob-1', () => device.publishAsync('a', 'x', { qos: 1 }));
    expect(await ids.first(1)).toEqual([undefined]);
  });

  it('waits for running handlers when it closes', async () => {
    const gate = deferred();
    const started = new Collector<string>();
    const devices = await traffic();
    let ended = false;
    await devices.listen(['a'], async (topic) => {
      started.add(topic);
      await gate.promise;
      ended = true;
    });
    await device.publishAsync('a', 'x', { qos: 1 });
    await started.first(1);
    const closed = devices.close();
    gate.resolve();
    await closed;
    expect(ended).toBe(true);
  });

  it('closes while the broker is away', async () => {
    const devices = await traffic();
    await devices.listen(['a'], async () => undefined);
    broker.refuse = true;
    broker.disconnectAll();
    await waitFor(() => !isUp(devices));
    await devices.close();
  });
});
