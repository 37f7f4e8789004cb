import { once } from 'node:events';
import { createPublicKey } from 'node:crypto';
import { readCertificate } from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokerFinder, type LocalLookup } from '../broker-finder.js';
import { noticed, RunningDevices } from '../stand-in/running-devices.js';
import { type StandInBroker, startStandInBroker } from '../stand-in/stand-in-broker.js';
import { csrOf, StandInAuthority, StandInPlatform, topicsReport } from '../stand-in/stand-in-platform.js';
import { MemoryDeviceStore } from '../store/memory-device-store.js';

const id = 'socket-1';
const topic = 'home/gw/kitchen/socket/socket-1';

describe('a device that does not find its home where it was', () => {
  let platform: StandInPlatform;
  let other: StandInBroker;
  let devices: RunningDevices;
  let store: MemoryDeviceStore;
  let isHomeOpen: boolean;

  beforeEach(async () => {
    platform = await StandInPlatform.start();
    other = await platform.startHome();
    other.answer = ({ json }) => (json['command_type'] === 'topics' ? topicsReport([topic]) : undefined);
    devices = new RunningDevices();
    isHomeOpen = true;
    platform.home.mayConnect = () => isHomeOpen;
  });
  afterEach(async () => {
    await devices.stop();
    await other.close();
    await platform.close();
  });

  async function activeDevice(mode?: KeyMode): Promise<void> {
    const identity = await platform.mint(id, mode);
    platform.activates(identity);
    platform.assigns([topic]);
    store = new MemoryDeviceStore(identity);
    const { active, device } = devices.start(store);
    await active;
    await device.stop();
    // Nobody adds it any more.
    platform.activation.maySubscribe = () => false;
    platform.activation.connects = 0;
  }

  const nearby =
    (port: number): LocalLookup =>
    async () => ({ host: '127.0.0.1', port });
  const start = (lookup?: LocalLookup) => devices.start(store, lookup && { finder: new BrokerFinder(lookup) });
  const broker = async () => (await store.state()).broker;

  it('goes to the one it knows, and nowhere else, when that is there again soon', async () => {
    await activeDevice();
    let looks = 0;
    const lookup: LocalLookup = async () => {
      looks++;
      return undefined;
    };
    const { active, device, problems } = start(lookup);
    await active;
    isHomeOpen = false;
    const back = new Promise((resolve) => device.on('active', resolve));
    device.once('problem', () => device.once('problem', () => (isHomeOpen = true)));
    platform.home.disconnectAll();
    await back;
    expect(problems.length).toBeGreaterThanOrEqual(2);
    expect(looks).toBe(0);
    expect(platform.activation.connects).toBe(0);
  });

  it('finds it in the local network, and remembers that', async () => {
    await activeDevice();
    isHomeOpen = false;
    const before = await store.credentials();
    const { device, active } = start(nearby(other.port));
    const found = noticed(device, 'found');
    await active;
    await found;
    expect(await broker()).toEqual({ host: '127.0.0.1', port: other.port });
    expect(await store.credentials()).toEqual(before);
    await device.stop();
    const again = start();
    await again.active;
    expect(again.notices).toEqual([]);
    expect(platform.activation.connects).toBe(0);
  });

  it('does not forget where its home is said to have moved to over a neighbour’s gateway', async () => {
    await activeDevice();
    isHomeOpen = false;
    const moved = { host: '127.0.0.1', port: other.port };
    await store.saveNext({ broker: moved });
    let isThere = false;
    other.mayConnect = () => isThere;
    const neighbour = await platform.startHome();
    const { device, active } = start(nearby(neighbour.port));
    device.on('notice', ({ what }) => {
      if (what === 'that is not its home') isThere = true;
    });
    neighbour.mayConnect = () => false;
    await active;
    expect(await broker()).toEqual(moved);
    await device.stop();
    await neighbour.close();
  });

  it('goes on looking after it found nothing, and less and less often', async () => {
    await activeDevice();
    isHomeOpen = false;
    const { device, active, notices } = start();
    await noticed(device, 'looks-again');
    await noticed(device, 'looks-again');
    isHomeOpen = true;
    await active;
    expect(notices.map(({ kind }) => kind).filter((kind) => kind !== 'looks-again')).toEqual([]);
    expect(await broker()).toMatchObject({ port: platform.home.port });
  });

  it.each(['existing-key', 'server-key', 'csr'] as const)(
    'is told by the Discovery server where its home has moved to, and keeps its certificate (%s)',
    async (mode) => {
      await activeDevice(mode);
      isHomeOpen = false;
      const credentials = await store.credentials();
      platform.activation.maySubscribe = () => true;
      platform.activation.answer = ({ json }) => {
        // The certificate that it has, whatever it asks for, and no key.
        if (mode === 'csr') expect(csrOf(json['value'])).toContain('CERTIFICATE REQUEST');
        return platform.brokerData(credentials?.certificate ?? '', other);
      };
      const { device, active, notices } = start();
      await active;
      expect(await broker()).toEqual({ host: '127.0.0.1', port: other.port });
      expect(await store.credentials()).toEqual(credentials);
      expect(notices.map(({ kind }) => kind)).toEqual(['looks-again', 'found', 'moving', 'moved']);
      await device.stop();
      expect(platform.activation.aedes.connectedClients).toBe(0);
    },
  );

  it('comes to another home where somebody adds it anew, as soon as it has a name there', async () => {
    await activeDevice();
    isHomeOpen = false;
    const { key } = (await store.credentials()) ?? { key: '' };
    platform.activation.maySubscribe = () => true;
    const bundle = platform.bundle(id, createPublicKey(key));
    let asked = 0;
    platform.activation.answer = () => (++asked > 1 ? undefined : platform.brokerData(bundle, other));
    const named = 'home-2/gw/attic/socket/socket-1';
    let hasName = false;
    other.answer = () => (hasName ? topicsReport([named]) : undefined);
    const { device, active } = devices.start(store, { times: { answerTimeoutMs: 20 } });
    await noticed(device, 'moving');
    device.once('problem', () => {
      hasName = true;
    });
    await active;
    expect(await store.state()).toMatchObject({ broker: { port: other.port }, topics: [named], toConfirm: false });
    const { certificate } = (await store.credentials()) ?? { certificate: '' };
    expect(readCertificate(certificate).serialNumber).toBe(readCertificate(bundle).serialNumber);
  });

  describe('does not take for its home', () => {
    async function staysWith(found: () => Promise<LocalLookup> | LocalLookup): Promise<void> {
      await activeDevice();
      const before = { state: await store.state(), credentials: await store.credentials() };
      isHomeOpen = false;
      const lookup = await found();
      const { device, active } = devices.start(store, {
        finder: new BrokerFinder(lookup),
        times: { answerTimeoutMs: 20 },
      });
      await noticed(device, 'looks-again');
      await noticed(device, 'looks-again');
      isHomeOpen = true;
      await active;
      await device.stop();
      expect({ state: await store.state(), credentials: await store.credentials() }).toEqual(before);
    }

    it('a stranger’s answer to MQTT2GO.local', async () => {
      const foreign = await StandInAuthority.create('stand-in root');
      const stranger = await startStandInBroker({ ...foreign.server, clientCa: [platform.authority.root.certificate] });
      await staysWith(() => nearby(stranger.port));
      expect(stranger).toMatchObject({ connects: 0, bytes: 0 });
      await stranger.close();
    });

    it('a neighbour’s gateway, which turns it away', () =>
      staysWith(() => {
        other.mayConnect = () => false;
        return nearby(other.port);
      }));

    it('a neighbour’s gateway, which lets it in and to nothing', () =>
      staysWith(() => {
        other.maySubscribe = () => false;
        return nearby(other.port);
      }));

    it('a broker that lets it in and does not serve it', () =>
      staysWith(() => {
        other.answer = () => undefined;
        return nearby(other.port);
      }));

    it('a lookup that fails', () =>
      staysWith(() => async () => {
        throw new Error('no network');
      }));

    it('a certificate of another device from the Discovery server', () =>
      staysWith(() => {
        platform.activation.maySubscribe = () => true;
        platform.activation.answer = () =>
          platform.brokerData(platform.bundle('socket-2', createPublicKey(platform.authority.server.key)), other);
        return async () => undefined;
      }));
  });

  it('looks sooner when its broker is there and is not to be trusted', async () => {
    await activeDevice();
    await platform.home.close();
    const foreign = await StandInAuthority.create('stand-in root');
    const impostor = await startStandInBroker(
      { ...foreign.server, clientCa: [platform.authority.root.certificate] },
      platform.home.port,
    );
    const { active, problems } = start(nearby(other.port));
    await active;
    expect(problems.map(({ error }) => error.code)).toEqual(['server_untrusted', 'server_untrusted']);
    expect(impostor.bytes).toBe(0);
    await impostor.close();
    platform.home.close = async () => undefined;
  });

  describe('before it has a home', () => {
    async function isAddedAlthough(local: StandInBroker): Promise<number[]> {
      const identity = await platform.mint(id);
      platform.activates(identity);
      platform.assigns([topic]);
      store = new MemoryDeviceStore(identity);
      const { active, steps } = start(nearby(local.port));
      await active;
      return steps.map(({ step }) => step).filter((step) => step < 6);
    }

    it('goes to the Discovery server when a stranger answers to MQTT2GO.local', async () => {
      const foreign = await StandInAuthority.create('stand-in root');
      const stranger = await startStandInBroker({ ...foreign.server, clientCa: [platform.manufacturer.certificate] });
      expect(await isAddedAlthough(stranger)).toEqual([3, 3, 4, 5]);
      expect(stranger.bytes).toBe(0);
      await stranger.close();
    });

    it('goes to the Discovery server when a neighbour’s gateway does not add it', async () => {
      const neighbour = await startStandInBroker({
        ...platform.authority.server,
        clientCa: [platform.manufacturer.certificate],
      });
      neighbour.maySubscribe = () => false;
      expect(await isAddedAlthough(neighbour)).toEqual([3, 5, 3, 4, 5]);
      expect(neighbour.seen).toEqual([]);
      await neighbour.close();
    });
  });

  it('leaves no connection behind at the Discovery server', async () => {
    await activeDevice();
    isHomeOpen = false;
    const { device } = start();
    const left = once(platform.activation.aedes, 'clientDisconnect');
    await noticed(device, 'looks-again');
    await left;
    await device.stop();
    expect(platform.activation.aedes.connectedClients).toBe(0);
  });
});
