import { Certificates, type Credentials } from '@mqtt2go/testing';
import { bridgeRules } from '@mqtt2go/access';
import { Authority, generateKeys, writePrivateKey } from '@mqtt2go/pki';
import { type IClientOptions, MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { received } from './test-support/clients.js';
import { Stage } from './test-support/stage.js';

let certificates: Certificates;
let stage: Stage;
beforeAll(async () => {
  certificates = await Certificates.create();
  stage = await Stage.start(certificates, 'home');
});
afterAll(() => stage.close());

/** A device's certificate as the gateway of a home makes it, or somebody who has the gateway's keys. */
async function fromGatewayOf(homeId: string, deviceId: string): Promise<Credentials> {
  const nowMs = Date.now();
  const keys = await generateKeys();
  const { pem } = certificates.root.issueGatewayAuthority({
    use: 'devices',
    homeId,
    commonName: `CA of ${homeId}`,
    publicKey: keys.publicKey,
    nowMs,
  });
  const authority = new Authority(pem, keys.privateKey);
  const own = await generateKeys();
  const issued = authority.issueDevice({ deviceId, serialNumber: '0A01', publicKey: own.publicKey, nowMs });
  return { cert: authority.withChain(issued.pem), key: writePrivateKey(own.privateKey) };
}

describe('a device with a certificate of a gateway’s CA', () => {
  it('is let in to its home', async () => {
    await stage.addDevice('plug-1');
    const outcome = await stage.tryConnect({ clientId: 'plug-1', ...(await fromGatewayOf('home-1', 'plug-1')) });
    expect(outcome).toHaveProperty('client');
    if ('client' in outcome) await outcome.client.endAsync();
  });

  it('is refused where the device is another home’s, though name and serial number are right', async () => {
    await stage.addDevice('plug-2');
    const before = stage.broker.stats().counters.refused.certificate_of_another_home;
    const outcome = await stage.tryConnect({ clientId: 'plug-2', ...(await fromGatewayOf('home-2', 'plug-2')) });
    expect(outcome).toHaveProperty('refusedWith');
    expect(stage.broker.stats().counters.refused.certificate_of_another_home).toBe(before + 1);
  });
});

const topic = 'home-1/gw-1/living/socket/plug-1';
const asBridge = (client: MqttClient): MqttClient => {
  client.on('packetsend', (packet) => {
    if (packet.cmd === 'connect') Object.assign(packet, { bridgeMode: true });
  });
  return client.connect();
};
const options: IClientOptions = { protocolVersion: 4, reconnectPeriod: 0, resubscribe: false, manualConnect: true };

describe('a bridge', () => {
  it('in this process hears all of its home but itself, with the retain flag as it was', async () => {
    const client = asBridge(
      new MqttClient(() => stage.broker.connectInProcess('federation', bridgeRules('home-1')), {
        ...options,
        clientId: 'bridge',
      }),
    );
    const heard = received(client);
    await client.subscribeAsync(['home-1/#', '/home-1/#'], { qos: 1 });
    const app = await stage.connect(await stage.addController('app@home-1'));
    await client.publishAsync(topic, 'own', { qos: 1 });
    await app.publishAsync(topic, 'same', { qos: 1, retain: true });
    await app.publishAsync(topic, 'same', { qos: 1 });
    await app.publishAsync(topic, 'last', { qos: 1 });
    await expect.poll(() => heard.at(-1)?.payload).toBe('last');
    expect(heard.map(({ payload, retain }) => [payload, retain])).toEqual([
      ['same', true],
      ['same', false],
      ['last', false],
    ]);
    await client.endAsync();
  });

  it('from outside is sent after an outage what others have said meanwhile, and never what it has said itself', async () => {
    const other = 'home-2/gw-1/living/socket/plug-2';
    const account = await stage.addController('bridge@home-2', { homeId: 'home-2', role: 'bridge' });
    const client = await stage.connect({ ...account, ...options, manualConnect: false, clean: true, clientId: 'b' });
    await client.endAsync();
    client.options.clean = false;
    const heard = received(client);
    client.on('packetsend', (packet) => {
      if (packet.cmd === 'connect') Object.assign(packet, { bridgeMode: true });
    });
    const connected = (): Promise<void> =>
      new Promise((resolve) => {
        client.once('connect', () => resolve());
        client.reconnect();
      });
    await connected();
    await client.subscribeAsync('home-2/#', { qos: 1 });
    await client.publishAsync(other, 'own', { qos: 1 });
    await client.endAsync();
    const app = await stage.connect(await stage.addController('app@home-2', { homeId: 'home-2' }));
    await app.publishAsync(other, 'meanwhile', { qos: 1 });
    await connected();
    await expect.poll(() => heard.map(({ payload }) => payload)).toEqual(['meanwhile']);
    await app.publishAsync(other, 'after', { qos: 1, retain: true });
    await expect.poll(() => heard.map(({ payload }) => payload)).toEqual(['meanwhile', 'after']);
    // What was acknowledged does not come again.
    await client.endAsync();
    await connected();
    await app.publishAsync(other, 'end', { qos: 1 });
    await expect.poll(() => heard.map(({ payload }) => payload)).toEqual(['meanwhile', 'after', 'end']);
  });
});
