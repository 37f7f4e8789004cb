import { Collector, waitFor, Certificates, closed, subscribes } from '@mqtt2go/testing';
import type { ActivationPrincipal } from '@mqtt2go/access';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Schedule } from './guess-throttle.js';
import { Stage } from './test-support/stage.js';

let certificates: Certificates;
let stage: Stage;
/** The delays that were asked for; they end when the test says so. */
let delays: { ms: number; end: () => void }[];
let areDelaysHeld: boolean;

const schedule: Schedule = (ms, work) => {
  const delay = { ms, end: work };
  delays.push(delay);
  if (!areDelaysHeld) setImmediate(work);
  return () => {
    delay.end = () => undefined;
  };
};

beforeAll(async () => {
  certificates = await Certificates.create();
});
beforeEach(async () => {
  delays = [];
  areDelaysHeld = false;
  stage = await Stage.start(certificates, 'activation', { schedule, batchCertificateNames: ['model-7'] });
});
afterEach(() => stage.close());

function waiting(id: string, activationCode: string): ActivationPrincipal {
  return { kind: 'activation', id, activationCode, expiresAtMs: stage.clock.now() + 900_000 };
}

describe('at the door of the activation broker', () => {
  const isIn = async (options: Parameters<Stage['tryConnect']>[0]) => 'client' in (await stage.tryConnect(options));

  it('a pre-loaded certificate of a known manufacturer gets in, even before its owner has added it', async () => {
    const client = await stage.connect(await certificates.preloaded('plug-1'));
    expect(await subscribes(client, 'CODE/activation')).toBe(false);
    expect(client.connected).toBe(true);
  });

  it('nobody else does', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    expect(await isIn({})).toBe(false);
    expect(await isIn({ username: 'plug-1', password: 'CODE' })).toBe(false);
    expect(await isIn(await certificates.preloaded('plug-1', certificates.foreign))).toBe(false);
    expect(await isIn(await certificates.preloaded('plug-1', certificates.otherManufacturer))).toBe(false);
    expect(await isIn(await certificates.device('plug-1', '0A01'))).toBe(false);
    expect(await isIn(await certificates.service('discovery'))).toBe(false);
  });

  it('a manufacturer is known from the moment it is registered, and no longer than that', async () => {
    const credentials = await certificates.preloaded('plug-1', certificates.otherManufacturer);
    await stage.admin.setTrustAnchors([certificates.otherManufacturer.certificate]);
    expect(await isIn(credentials)).toBe(true);
    await stage.admin.setTrustAnchors([]);
    expect(await isIn(credentials)).toBe(false);
    expect(await isIn(await certificates.preloaded('plug-2'))).toBe(true);
  });

  it('what is no certificate is refused as a trust anchor, and the ones before stay', async () => {
    await stage.admin.setTrustAnchors([certificates.otherManufacturer.certificate]);
    await expect(stage.admin.setTrustAnchors(['-----BEGIN CERTIFICATE-----\nnonsense'])).rejects.toMatchObject({
      code: 'malformed_message',
    });
    await expect(stage.admin.setTrustAnchors([certificates.server.cert])).rejects.toMatchObject({
      code: 'malformed_message',
    });
    expect(await isIn(await certificates.preloaded('plug-1', certificates.otherManufacturer))).toBe(true);
  });
});

describe('with a pre-loaded certificate', () => {
  it('the right device with the right code talks with discovery', async () => {
    const discovery = stage.service('discovery');
    const asked = new Collector<string>();
    discovery.on('message', (topic, payload) => asked.add(`${topic} ${payload.toString()}`));
    for (const filter of ['+/activation', '/+/activation']) expect(await subscribes(discovery, filter)).toBe(true);
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    const client = await stage.connect(await certificates.preloaded('plug-1'));
    const answered = new Collector<string>();
    client.on('message', (_topic, payload) => answered.add(payload.toString()));
    expect(await subscribes(client, 'CODE/activation')).toBe(true);
    await client.publishAsync('CODE/activation', 'GET', { qos: 1, retain: true });
    expect(await asked.first(1)).toEqual(['CODE/activation GET']);
    await discovery.publishAsync('CODE/activation', 'bundle', { qos: 1, retain: true });
    expect(await answered.first(2)).toEqual(['GET', 'bundle']);
    await client.endAsync();
    const again = await stage.connect({ ...(await certificates.preloaded('plug-1')), clean: false });
    const nothing = new Collector<string>();
    again.on('message', (_topic, payload) => nothing.add(payload.toString()));
    await subscribes(again, 'CODE/activation');
    await discovery.publishAsync('CODE/activation', 'fresh', { qos: 1 });
    // Nothing was retained, nothing kept.
    expect(await nothing.first(1)).toEqual(['fresh']);
    expect(delays).toEqual([]);
  });

  it('another device cannot touch the topic, whatever it does', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE'), waiting('plug-2', 'OTHER')]);
    const discovery = stage.service('discovery');
    const asked = new Collector<string>();
    discovery.on('message', (topic, payload) => asked.add(`${topic} ${payload.toString()}`));
    await subscribes(discovery, '+/activation');
    const thief = await stage.connect({
      ...(await certificates.preloaded('plug-2')),
      clientId: 'plug-1',
      username: 'plug-1',
      password: 'CODE',
    });
    for (const filter of ['CODE/activation', '/CODE/activation', 'CODE/#', '+/activation', '#']) {
      expect(await subscribes(thief, filter)).toBe(false);
    }
    await thief.publishAsync('CODE/activation', 'GET', { qos: 1 });
    await thief.publishAsync('OTHER/activation', 'mine', { qos: 1 });
    expect(await asked.first(1)).toEqual(['OTHER/activation mine']);
  });

  it('an activation ends by itself after its time, in the live session too', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    const client = await stage.connect(await certificates.preloaded('plug-1'));
    expect(await subscribes(client, 'CODE/activation')).toBe(true);
    stage.clock.advance(900_000);
    expect(await subscribes(client, '/CODE/activation')).toBe(false);
    const heard = new Collector<string>();
    client.on('message', (_topic, payload) => heard.add(payload.toString()));
    const discovery = stage.service('discovery');
    const passed = new Collector<string>();
    discovery.on('message', (_topic, payload) => passed.add(payload.toString()));
    await subscribes(discovery, '+/activation');
    await discovery.publishAsync('CODE/activation', 'late', { qos: 1 });
    await passed.first(1);
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    await discovery.publishAsync('CODE/activation', 'in time', { qos: 1 });
    expect(await heard.first(1)).toEqual(['in time']);
  });

  it('a withdrawn activation ends its session', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    const client = await stage.connect(await certificates.preloaded('plug-1'));
    const isClosed = closed(client);
    await stage.admin.remove([{ kind: 'activation', id: 'plug-1' }]);
    await isClosed;
  });
});

describe('guessing', () => {
  it('is slower with each wrong code', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    const client = await stage.connect(await certificates.preloaded('plug-1'));
    for (let i = 0; i < 5; i += 1) expect(await subscribes(client, `GUESS-${i}/activation`)).toBe(false);
    await client.publishAsync('GUESS-5/activation', 'GET', { qos: 1 });
    expect(delays.map(({ ms }) => ms)).toEqual([100, 200, 400, 800, 1600]);
  });

  it('is not made faster by connecting anew', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    const credentials = await certificates.preloaded('plug-1');
    for (let i = 0; i < 4; i += 1) {
      const client = await stage.connect(credentials);
      await subscribes(client, `GUESS-${i}/activation`);
      await client.endAsync();
    }
    expect(delays.map(({ ms }) => ms)).toEqual([100, 200, 400]);
  });

  it('of many codes at once shows nothing of the later ones until the earlier ones are answered', async () => {
    areDelaysHeld = true;
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    const client = await stage.connect(await certificates.preloaded('plug-1'));
    await subscribes(client, 'WRONG/activation');
    let isGranted: boolean | undefined;
    const wrong = subscribes(client, 'WRONG-2/activation');
    const right = subscribes(client, 'CODE/activation').then((granted) => {
      isGranted = granted;
    });
    await waitFor(() => delays.length === 1);
    expect(isGranted).toBeUndefined();
    delays[0]?.end();
    expect(await wrong).toBe(false);
    await right;
    expect(isGranted).toBe(true);
  });

  it('by others does not slow the right device down', async () => {
    areDelaysHeld = true;
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    for (const id of ['evil-1', 'evil-2', 'evil-3']) {
      const evil = await stage.connect(await certificates.preloaded(id));
      void subscribes(evil, 'CODE/activation');
    }
    await waitFor(() => delays.length === 2);
    const client = await stage.connect(await certificates.preloaded('plug-1'));
    expect(await subscribes(client, 'CODE/activation')).toBe(true);
    for (const { end } of delays) end();
  });

  it('a device that was switched on too early gets in when its owner adds it, without a further try', async () => {
    areDelaysHeld = true;
    const client = await stage.connect(await certificates.preloaded('plug-1'));
    await subscribes(client, 'CODE/activation');
    const second = subscribes(client, 'CODE/activation');
    await waitFor(() => delays.length === 1);
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    expect(await second).toBe(true);
  });
});

describe('with a batch certificate', () => {
  const batch = () => certificates.preloaded('model-7');

  it('user name and password are device id and activation code', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    const client = await stage.connect({ ...(await batch()), username: 'plug-1', password: 'CODE' });
    expect(await subscribes(client, 'CODE/activation')).toBe(true);
    expect(await subscribes(client, 'OTHER/activation')).toBe(false);
  });

  it('a wrong code, another device’s code or none at all does not get in', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE'), waiting('plug-2', 'OTHER')]);
    const credentials = await batch();
    for (const password of ['WRONG', 'OTHER', '']) {
      expect(await stage.tryConnect({ ...credentials, username: 'plug-1', password })).toHaveProperty('refusedWith');
    }
    expect(await stage.tryConnect(credentials)).toHaveProperty('refusedWith');
    expect(delays.map(({ ms }) => ms)).toEqual([100, 200]);
  });

  it('the certificate of a single device is never one', async () => {
    await stage.admin.put([waiting('plug-1', 'CODE')]);
    const credentials = await certificates.preloaded('plug-2');
    const client = await stage.connect({ ...credentials, username: 'plug-1', password: 'CODE' });
    expect(await subscribes(client, 'CODE/activation')).toBe(false);
  });
});
