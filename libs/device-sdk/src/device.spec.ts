import { once } from 'node:events';
import { generateKeys, readCertificateRequest, writePrivateKey, writePublicKey } from '@mqtt2go/pki';
import { createPublicKey } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokerFinder } from './broker-finder.js';
import { Device, type DeviceTimes } from './device.js';
import { RunningDevices, shortTimes } from './stand-in/running-devices.js';
import { startStandInBroker } from './stand-in/stand-in-broker.js';
import { csrOf, refusal, StandInAuthority, StandInPlatform, topicsReport } from './stand-in/stand-in-platform.js';
import type { DeviceIdentity } from './store/device-identity.js';
import { MemoryDeviceStore } from './store/memory-device-store.js';

const id = 'socket-1';
const topic = 'home/gw/kitchen/socket/socket-1';
const activationTopic = `code-${id}/activation`;

describe('a device', () => {
  let platform: StandInPlatform;
  let devices: RunningDevices;

  beforeEach(async () => {
    platform = await StandInPlatform.start();
    devices = new RunningDevices();
  });
  afterEach(async () => {
    await devices.stop();
    await platform.close();
  });

  const start = (store: MemoryDeviceStore, times: Partial<DeviceTimes> = {}) => devices.start(store, { times });

  async function ready(identity: DeviceIdentity): Promise<MemoryDeviceStore> {
    platform.activates(identity);
    platform.assigns([topic]);
    return new MemoryDeviceStore(identity);
  }

  it.each(['existing-key', 'csr', 'server-key'] as const)('goes through all of its steps (%s)', async (mode) => {
    const store = await ready(await platform.mint(id, mode));
    const { steps, active } = start(store);
    expect(await active).toEqual([[topic]]);
    expect(steps.map(({ step }) => step)).toEqual([3, 4, 5, 6, 7, 8, 9, 12, 13]);
    expect(platform.activation.seen[0]?.topic).toBe(activationTopic);
    expect(platform.home.wanted).toEqual([`${id}/topics`, topic]);
    expect((await store.state()).phase).toBe('active');
    expect((await store.state()).key).toBe(mode === 'existing-key' ? 'pre-loaded' : 'operational');
  });

  it('closes the connection to the Discovery server when it has its broker', async () => {
    const store = await ready(await platform.mint(id));
    const left = once(platform.activation.aedes, 'clientDisconnect');
    await start(store).active;
    await left;
    expect(platform.activation.aedes.connectedClients).toBe(0);
  });

  it('sends a request for its own key when the platform wants one, though it was not told so', async () => {
    const store = await ready(await platform.mint(id));
    platform.activation.answer = async ({ json }) => {
      if (json['value'] === 'GET_BROKER_DATA') return refusal('mqtt_credentials', 'csr_required');
      return platform.brokerData(platform.bundle(id, (await readCertificateRequest(csrOf(json['value']))).publicKey));
    };
    await start(store).active;
    expect((await store.state()).key).toBe('operational');
  });

  it('walks away from a server of a foreign CA without a word', async () => {
    const foreign = await StandInAuthority.create('stand-in root');
    const impostor = await startStandInBroker({ ...foreign.server, clientCa: [platform.manufacturer.certificate] });
    const identity = await platform.mint(id);
    const fooled = { ...identity, file: { ...identity.file, discovery: { host: '127.0.0.1', port: impostor.port } } };
    const { ended, steps } = start(new MemoryDeviceStore(fooled));
    await expect(ended).rejects.toMatchObject({ code: 'server_untrusted' });
    expect(steps.map(({ step }) => step)).toEqual([3, 4]);
    await impostor.close();
    expect(impostor).toMatchObject({ connects: 0, bytes: 0, wanted: [], seen: [] });
  });

  it('walks away from a server whose certificate is for another name', async () => {
    const { root } = platform.authority;
    const keys = await generateKeys();
    const hosts = ['elsewhere.example'];
    const { pem } = root.issueServer({ commonName: 'elsewhere', hosts, publicKey: keys.publicKey, nowMs: Date.now() });
    const tls = { cert: root.withChain(pem), key: writePrivateKey(keys.privateKey) };
    const other = await startStandInBroker({ ...tls, clientCa: [platform.manufacturer.certificate] });
    const identity = await platform.mint(id);
    const file = { ...identity.file, discovery: { host: '127.0.0.1', port: other.port } };
    const { ended } = start(new MemoryDeviceStore({ ...identity, file }));
    await expect(ended).rejects.toMatchObject({ code: 'server_untrusted' });
    await other.close();
    expect(other).toMatchObject({ connects: 0, bytes: 0 });
  });

  it('waits until it is announced: refused subscriptions and connections are tried again', async () => {
    const store = await ready(await platform.mint(id));
    let refusals = 0;
    platform.activation.mayConnect = () => ++refusals > 2;
    platform.activation.maySubscribe = () => ++refusals > 5;
    const { active, problems } = start(store);
    await active;
    expect(problems.map(({ error }) => error.code)).toEqual(['forbidden', 'forbidden', 'forbidden', 'forbidden']);
    expect(problems.every(({ retryInMs }) => retryInMs !== undefined && retryInMs >= 5)).toBe(true);
    expect(platform.activation.seen).toHaveLength(1);
  });

  it('comes back to a gateway that has refused it, though the Discovery server would let it wait', async () => {
    const { root, server } = platform.authority;
    const clientCa = [root.certificate, platform.manufacturer.certificate];
    const local = await startStandInBroker({ ...server, clientCa });
    const identity = await platform.mint(id);
    let isAdded = false;
    local.maySubscribe = () => isAdded;
    local.answer = ({ json }) => {
      if (json['command_type'] === 'topics') return topicsReport([topic]);
      const value = platform.bundle(id, createPublicKey(identity.key));
      return { type: 'report', report_type: 'command_response', timestamp: 1, report_name: 'mqtt_credentials', value };
    };
    platform.activation.maySubscribe = () => {
      // Somebody adds it at the gateway while it is here.
      isAdded = true;
      return false;
    };
    const finder = new BrokerFinder(async () => ({ host: '127.0.0.1', port: local.port }));
    const { device, active } = devices.start(new MemoryDeviceStore(identity), { finder });
    await active;
    expect(platform.activation.connects).toBe(1);
    await device.stop();
    await local.close();
  });

  it('asks again when the Discovery server does not answer', async () => {
    const identity = await platform.mint(id);
    const store = await ready(identity);
    const { answer } = platform.activation;
    platform.activation.answer = (message) => (platform.activation.seen.length < 3 ? undefined : answer(message));
    const { active, problems } = start(store, { answerTimeoutMs: 200 });
    await active;
    expect(problems.map(({ error }) => error.code)).toEqual(['timeout', 'timeout']);
  });

  it.each(['activation_code_wrong', 'unknown_device', 'csr_key_mismatch'])(
    'ends when it is refused for good (%s)',
    async (reason) => {
      const identity = await platform.mint(id);
      platform.activation.answer = () => refusal('mqtt_credentials', reason);
      const { ended } = start(new MemoryDeviceStore(identity));
      await expect(ended).rejects.toMatchObject({ code: reason });
      expect(platform.activation.seen).toHaveLength(1);
    },
  );

  it.each(['unavailable', 'activation_expired', 'too_many_attempts', 'a_reason_of_the_future'])(
    'goes on after a refusal that may pass (%s)',
    async (reason) => {
      const identity = await platform.mint(id);
      const store = await ready(identity);
      const { answer } = platform.activation;
      platform.activation.answer = (message) =>
        platform.activation.seen.length === 1 ? refusal('mqtt_credentials', reason) : answer(message);
      await start(store).active;
      expect(platform.activation.seen).toHaveLength(2);
    },
  );

  describe('does not take', () => {
    async function refuses(bundle: string, mode?: 'csr'): Promise<void> {
      platform.activation.answer = () => platform.brokerData(bundle);
      const store = new MemoryDeviceStore(await platform.mint(id, mode));
      const { ended } = start(store);
      await expect(ended).rejects.toMatchObject({ code: 'certificate_not_accepted' });
      expect(await store.state()).toMatchObject({ phase: 'factory' });
      expect(platform.home.connects).toBe(0);
    }

    it('a certificate of another device', async () => {
      await refuses(platform.bundle('socket-2', await generateKeys()));
    });
    it('a certificate for a key that it does not have', async () => {
      await refuses(platform.bundle(id, (await generateKeys()).publicKey));
    });
    it('a certificate for another key than it asked for', async () => {
      await refuses(platform.bundle(id, (await generateKeys()).publicKey), 'csr');
    });
    it('a key from outside when it asked for a certificate for its own', async () => {
      await refuses(platform.bundle(id, await generateKeys()), 'csr');
    });
    it('a certificate of a foreign CA', async () => {
      const foreign = await StandInPlatform.start();
      await refuses(foreign.bundle(id, await generateKeys()));
      await foreign.close();
    });
    it('something that is no certificate', async () => {
      await refuses('-----BEGIN NOTHING-----');
    });
  });

  it('keeps its key before it asks for a certificate, and asks for the same key after a power loss', async () => {
    const identity = await platform.mint(id, 'csr');
    const store = new MemoryDeviceStore(identity);
    const keys: string[] = [];
    const keptAtRequest: boolean[] = [];
    const asked = new Promise<void>((resolve) => {
      platform.activation.answer = async ({ json }) => {
        keptAtRequest.push((await store.pendingKey()) !== undefined);
        keys.push(writePublicKey((await readCertificateRequest(csrOf(json['value']))).publicKey));
        resolve();
        return undefined;
      };
    });
    const first = start(store);
    await asked;
    await first.device.stop();

    const { answer } = platform.activation;
    platform.activation.answer = async (message) => {
      await answer(message);
      return platform.brokerData(platform.bundle(id, createPublicKey(keys[0] ?? '')));
    };
    platform.assigns([topic]);
    await start(store).active;
    expect(keptAtRequest).toEqual([true, true]);
    expect(keys[1]).toBe(keys[0]);
  });

  it('goes on at the home’s broker when the power was lost after it joined', async () => {
    const store = await ready(await platform.mint(id));
    platform.home.answer = () => undefined;
    const first = start(store);
    const asked = once(platform.home.aedes, 'publish');
    await once(first.device, 'phase');
    await asked;
    await first.device.stop();
    expect((await store.state()).phase).toBe('joined');

    platform.assigns([topic]);
    const second = start(store);
    await second.active;
    expect(second.steps.map(({ step }) => step)).toEqual([8, 9, 12, 13]);
    expect(platform.activation.connects).toBe(1);
  });

  it('is at its topics and in its last state at once when the power was lost while it was active', async () => {
    const store = await ready(await platform.mint(id));
    const first = start(store);
    await first.active;
    const obeyed = once(first.device, 'command');
    await platform.home.publish(topic, { type: 'command', timestamp: 1, command_type: 'set', value: 'on' });
    await obeyed;
    await first.device.stop();

    platform.home.answer = () => undefined;
    const second = start(store);
    await second.active;
    expect(second.steps.map(({ step }) => step)).toEqual([8, 13, 9]);
    expect(second.appliance.report()).toEqual({ state: 'on' });
  });

  it('starts anew when its activation has been taken back before it got a name', async () => {
    const identity = await platform.mint(id);
    const store = await ready(identity);
    platform.home.answer = () => refusal('topics', 'activation_expired');
    const { device, active } = start(store);
    const phases: string[] = [];
    await new Promise<void>((resolve) =>
      device.on('phase', (phase) => {
        phases.push(phase);
        if (phases.join() === 'factory,joined,factory') resolve();
      }),
    );
    platform.assigns([topic]);
    await active;
    expect(platform.activation.connects).toBeGreaterThanOrEqual(2);
  });

  it('starts anew when the home’s broker keeps turning it away before it got a name', async () => {
    const store = await ready(await platform.mint(id));
    platform.home.mayConnect = () => platform.home.connects > 4;
    await start(store).active;
    expect(platform.activation.connects).toBe(2);
  });

  it('does not forget its home because the broker turns it away for a while', async () => {
    const store = await ready(await platform.mint(id));
    const first = start(store);
    await first.active;
    await first.device.stop();
    const before = await store.state();
    const turnedAway = platform.home.connects + 8;
    platform.home.mayConnect = () => platform.home.connects > turnedAway;
    platform.activation.maySubscribe = () => false;
    await start(store).active;
    expect(await store.state()).toEqual(before);
  });

  it('starts anew when the home’s broker lets it in and then to nothing, before it got a name', async () => {
    const store = await ready(await platform.mint(id));
    platform.home.maySubscribe = () => platform.activation.connects > 1;
    await start(store).active;
    expect(platform.activation.connects).toBe(2);
  });

  it('rests while its home’s broker lets it in and then to nothing', async () => {
    const store = await ready(await platform.mint(id));
    const { device, active, problems } = start(store);
    await active;
    let tries = 0;
    platform.home.maySubscribe = () => ++tries > 4;
    platform.activation.maySubscribe = () => false;
    const before = await store.state();
    const back = once(device, 'active');
    platform.home.disconnectAll();
    await back;
    const [lost, ...refused] = problems;
    expect(lost?.retryInMs).toBeLessThan(2 * shortTimes.backOff.minMs);
    expect(refused).toHaveLength(4);
    expect(refused.every(({ retryInMs = 0 }) => retryInMs > 0)).toBe(true);
    expect(await store.state()).toEqual(before);
  });

  it('asks for its topics again until it gets them', async () => {
    const store = await ready(await platform.mint(id));
    platform.home.answer = () => (platform.home.seen.length < 3 ? undefined : topicsReport([topic]));
    const { active, steps } = start(store, { askAgainMs: 10 });
    await active;
    expect(steps.filter(({ step }) => step === 9).length).toBeGreaterThanOrEqual(3);
  });

  it('moves to other topics when it is told to', async () => {
    const store = await ready(await platform.mint(id));
    const { device, active } = start(store);
    await active;
    const moved = once(device, 'active');
    const other = 'home/gw/garden/socket/socket-1';
    await platform.home.publish(`${id}/topics`, topicsReport([other]));
    expect(await moved).toEqual([[other]]);
    expect((await store.state()).topics).toEqual([other]);
  });

  it('comes back by itself when the connection breaks', async () => {
    const store = await ready(await platform.mint(id));
    const { device, active } = start(store);
    await active;
    const back = once(device, 'active');
    platform.home.disconnectAll();
    await back;
    expect(platform.home.connects).toBe(2);
  });

  it.each([0, 0.25, 0.999])('comes back after a share of a wait, for each device another one (%d)', async (share) => {
    const store = await ready(await platform.mint(id));
    const { device, problems, active } = devices.start(store, { random: () => share });
    await active;
    const back = once(device, 'active');
    platform.home.disconnectAll();
    await back;
    expect(problems.map(({ retryInMs }) => retryInMs)).toEqual([2 * shortTimes.backOff.minMs * share]);
  });

  it('ends when its signal is aborted, whatever it is doing', async () => {
    const store = new MemoryDeviceStore(await platform.mint(id));
    platform.activation.maySubscribe = () => false;
    const aborting = new AbortController();
    const device = new Device(store, { times: { ...shortTimes, backOff: { minMs: 60_000, maxMs: 60_000 } } });
    const waiting = once(device, 'problem');
    const ended = device.run(aborting.signal);
    await waiting;
    aborting.abort();
    await expect(ended).resolves.toBeUndefined();
    await expect(device.run(aborting.signal)).resolves.toBeUndefined();
  });
});
