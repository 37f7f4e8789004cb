import type { ActivationPrincipal } from '@mqtt2go/access';
import { Authority, generateKeys, hashPassword, joinPem, writePrivateKey } from '@mqtt2go/pki';
import { FakeClock } from '@mqtt2go/ports';
import { silentLogger, Certificates, closed, type Outcome, subscribes, tryConnect } from '@mqtt2go/testing';
import type { IClientOptions, MqttClient } from 'mqtt';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AedesBrokerAdmin } from './aedes-broker-admin.js';
import { EmbeddedBroker } from './embedded-broker.js';
import type { Schedule } from './guess-throttle.js';
import { inProcess, rawTls } from './test-support/clients.js';
import { device } from './test-support/stage.js';

let certificates: Certificates;
let clock: FakeClock;
let home: EmbeddedBroker;
let activation: EmbeddedBroker;
let homeAdmin: AedesBrokerAdmin;
let activationAdmin: AedesBrokerAdmin;
let port: number;
let delays: number[];
const clients: MqttClient[] = [];

const schedule: Schedule = (ms, work) => {
  delays.push(ms);
  setImmediate(work);
  return () => undefined;
};

beforeAll(async () => {
  certificates = await Certificates.create();
});
beforeEach(async () => {
  delays = [];
  clock = new FakeClock(Date.now());
  home = new EmbeddedBroker({ role: 'home', clock, log: silentLogger, limits: { connectTimeoutMs: 300 } });
  activation = new EmbeddedBroker({
    role: 'activation',
    clock,
    log: silentLogger,
    schedule,
    initializationAccounts: true,
  });
  const admin = (broker: EmbeddedBroker, service: 'topic-generator' | 'discovery') =>
    new AedesBrokerAdmin({ address: 'in-process', open: (suffix) => inProcess(() => broker, service, suffix) });
  homeAdmin = admin(home, 'topic-generator');
  activationAdmin = admin(activation, 'discovery');
  await Promise.all([homeAdmin.replaceAll([]), activationAdmin.replaceAll([])]);
  const ca = certificates.root.certificate;
  ({ port } = await home.listenShared({ host: '127.0.0.1', port: 0, ca, ...certificates.server }, activation));
  await activationAdmin.setTrustAnchors([certificates.manufacturer.certificate]);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await Promise.all([homeAdmin.close(), activationAdmin.close()]);
  await Promise.all([home.close(), activation.close()]);
});

const attempt = async (options: IClientOptions): Promise<Outcome> => {
  const outcome = await tryConnect(`mqtts://127.0.0.1:${port}`, { ca: certificates.root.certificate, ...options });
  if ('client' in outcome) clients.push(outcome.client);
  return outcome;
};
const enter = async (options: IClientOptions): Promise<MqttClient> => {
  const outcome = await attempt(options);
  if ('refusedWith' in outcome) throw new Error(`not let in: ${outcome.refusedWith}`);
  return outcome.client;
};
const isIn = async (options: IClientOptions): Promise<boolean> => 'client' in (await attempt(options));
const waiting = (id: string, activationCode: string): ActivationPrincipal => ({
  kind: 'activation',
  id,
  activationCode,
  expiresAtMs: clock.now() + 900_000,
});

/** A CA of a manufacturer, and one that it makes below itself. */
const rogue = async (pathLength: number | undefined, below: { commonName: string }) => {
  const keys = await generateKeys();
  const nowMs = Date.now();
  const validityMs = 86_400_000;
  const root = Authority.createRoot({
    commonName: 'Rogue Devices',
    keys,
    nowMs,
    validityMs,
    ...(pathLength === undefined ? {} : { pathLength }),
  });
  const own = await generateKeys();
  const issued = root.issueAuthority({ ...below, publicKey: own.publicKey, nowMs, validityMs, pathLength: 0 });
  const ca = new Authority(issued.pem, own.privateKey);
  const key = await generateKeys();
  const leaf = ca.issueDevice({ deviceId: 'plug-1', serialNumber: '0A01', publicKey: key.publicKey, nowMs });
  return { root, cert: joinPem([leaf.pem, issued.pem]), key: writePrivateKey(key.privateKey) };
};

describe('on one port', () => {
  it('a device of the home comes to the home broker by its certificate', async () => {
    await homeAdmin.put([device('plug-1')]);
    await activationAdmin.put([waiting('plug-1', 'CODE')]);
    const client = await enter(await certificates.device('plug-1', '0A01'));
    expect(await subscribes(client, 'plug-1/topics')).toBe(true);
    expect(await subscribes(client, 'CODE/activation')).toBe(false);
    expect(await subscribes(client, 'CODE/wifi')).toBe(false);
  });

  it('a pre-loaded certificate comes to the activation broker, whatever the home knows of the device', async () => {
    await homeAdmin.put([device('plug-1')]);
    await activationAdmin.put([waiting('plug-1', 'CODE')]);
    const client = await enter(await certificates.preloaded('plug-1'));
    expect(await subscribes(client, 'CODE/activation')).toBe(true);
    expect(await subscribes(client, 'CODE/wifi')).toBe(true);
    expect(await subscribes(client, 'plug-1/topics')).toBe(false);
  });

  it('a pre-loaded certificate reaches nothing without an activation, and nothing after its end', async () => {
    const early = await enter(await certificates.preloaded('plug-1'));
    expect(await subscribes(early, 'CODE/activation')).toBe(false);
    await activationAdmin.put([waiting('plug-1', 'CODE')]);
    expect(await subscribes(early, 'CODE/activation')).toBe(true);
    clock.advance(900_000);
    expect(await subscribes(early, 'CODE/wifi')).toBe(false);
    const ended = closed(early);
    await activationAdmin.remove([{ kind: 'activation', id: 'plug-1' }]);
    await ended;
  });

  it('a controller comes to the home broker by its password', async () => {
    const { password, id } = { id: 'phone@home-1', password: 'secret' };
    await homeAdmin.put([
      {
        kind: 'controller',
        id,
        homeId: 'home-1',
        gatewayId: 'gw-1',
        role: 'administrator',
        password: await hashPassword(password),
      },
    ]);
    const client = await enter({ username: id, password });
    expect(await subscribes(client, 'home-1/gw-1/add_device')).toBe(true);
    expect(await isIn({ username: id, password: 'wrong' })).toBe(false);
    expect(await isIn({ username: 'nobody@home-1', password: 'x' })).toBe(false);
    expect(await isIn({})).toBe(false);
  });

  it('an initialization account is there while its device is being added, and reaches its two topics', async () => {
    const account = { username: 'plug-1', password: 'CODE' };
    expect(await isIn(account)).toBe(false);
    await activationAdmin.put([waiting('plug-1', 'CODE'), waiting('plug-2', 'CODE2')]);
    const client = await enter(account);
    for (const mine of ['CODE/activation', '/CODE/activation', 'CODE/wifi', '/CODE/wifi']) {
      expect(await subscribes(client, mine)).toBe(true);
      client.unsubscribe(mine);
    }
    for (const other of [
      'CODE2/activation',
      'CODE2/wifi',
      '+/activation',
      '+/wifi',
      'CODE/+',
      'CODE/#',
      'plug-1/topics',
      'home-1/gw-1/add_device',
      'home-1/#',
      '#',
      '$SYS/#',
      '$CONTROL/mqtt2go-access/v1/response',
      '$share/all/CODE/activation',
    ]) {
      expect([other, await subscribes(client, other)]).toEqual([other, false]);
    }
    const ended = closed(client);
    await activationAdmin.remove([{ kind: 'activation', id: 'plug-1' }]);
    await ended;
    expect(await isIn(account)).toBe(false);
  });

  it('a wrong code of an account is refused, each time later, and does not hold the right one up', async () => {
    await activationAdmin.put([waiting('plug-1', 'CODE'), waiting('plug-2', 'CODE2')]);
    for (const password of ['A', 'B', 'C', 'D', 'CODE2']) {
      expect(await isIn({ username: 'plug-1', password })).toBe(false);
    }
    expect(delays).toEqual([100, 200, 400, 800]);
    expect(await isIn({ username: 'plug-1', password: 'CODE' })).toBe(true);
    clock.advance(900_000);
    expect(await isIn({ username: 'plug-1', password: 'CODE' })).toBe(false);
  });

  it('nobody comes in with a certificate of a CA that is neither kind', async () => {
    await homeAdmin.put([device('plug-1')]);
    await activationAdmin.put([waiting('plug-1', 'CODE')]);
    for (const authority of [certificates.foreign, certificates.otherManufacturer]) {
      expect(await isIn(await certificates.preloaded('plug-1', authority))).toBe(false);
    }
    expect(await isIn(await certificates.service('discovery'))).toBe(false);
  });

  it('a manufacturer cannot make a certificate of the home: a CA below its own is not trusted', async () => {
    await homeAdmin.put([device('plug-1')]);
    const { root, ...credentials } = await rogue(0, { commonName: 'issuing' });
    await activationAdmin.setTrustAnchors([root.certificate]);
    expect(await isIn(credentials)).toBe(false);
  });

  it('nor by a CA that has its own name, which counts for none on the way', async () => {
    await homeAdmin.put([device('plug-1')]);
    const { root, ...credentials } = await rogue(0, { commonName: 'Rogue Devices' });
    await activationAdmin.setTrustAnchors([root.certificate]);
    expect(await isIn(credentials)).toBe(false);
  });

  it('a manufacturer whose CA could have others below it is not trusted here at all', async () => {
    await homeAdmin.put([device('plug-1')]);
    const { root, ...credentials } = await rogue(undefined, { commonName: 'issuing' });
    await activationAdmin.setTrustAnchors([root.certificate]);
    expect(await isIn(credentials)).toBe(false);
    expect(await isIn(await certificates.preloaded('plug-1', root))).toBe(false);
  });

  it('who says nothing, or no CONNECT, is let go, and others go on meanwhile', async () => {
    const silent = await rawTls({ port, ca: certificates.root.certificate });
    const babbling = await rawTls({ port, ca: certificates.root.certificate });
    const gone = [silent, babbling].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    babbling.on('error', () => undefined);
    babbling.write('GET / HTTP/1.1\r\n\r\n');
    silent.write(Buffer.of(0x10));
    await activationAdmin.put([waiting('plug-1', 'CODE')]);
    expect(await isIn({ username: 'plug-1', password: 'CODE' })).toBe(true);
    await Promise.all(gone);
  });

  it('a CONNECT that is larger than one may be is none', async () => {
    expect(await isIn({ username: 'plug-1', password: 'x'.repeat(20_000) })).toBe(false);
    await activationAdmin.put([waiting('plug-1', 'CODE')]);
    expect(await isIn({ username: 'plug-1', password: 'CODE' })).toBe(true);
  });

  it('there is nothing without TLS', async () => {
    const outcome = await tryConnect(`mqtt://127.0.0.1:${port}`, { username: 'plug-1', password: 'CODE' });
    expect(outcome).toHaveProperty('refusedWith');
  });
});
