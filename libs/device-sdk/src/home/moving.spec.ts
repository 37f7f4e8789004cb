import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noticed, RunningDevices } from '../stand-in/running-devices.js';
import { type StandInBroker, startStandInBroker } from '../stand-in/stand-in-broker.js';
import {
  movedReport,
  reportsOn,
  StandInAuthority,
  StandInPlatform,
  topicsReport,
} from '../stand-in/stand-in-platform.js';
import { MemoryDeviceStore } from '../store/memory-device-store.js';

const id = 'socket-1';
const ownTopic = `${id}/topics`;
const topic = 'home/gw/kitchen/socket/socket-1';
const command = (value: unknown) => ({ type: 'command', timestamp: 1, command_type: 'set', value });

describe('a device whose home moves', () => {
  let platform: StandInPlatform;
  let other: StandInBroker;
  let devices: RunningDevices;
  let store: MemoryDeviceStore;

  beforeEach(async () => {
    platform = await StandInPlatform.start();
    other = await platform.startHome();
    devices = new RunningDevices();
    const identity = await platform.mint(id);
    platform.activates(identity);
    platform.assigns([topic]);
    other.answer = ({ json }) => (json['command_type'] === 'topics' ? topicsReport([topic]) : undefined);
    store = new MemoryDeviceStore(identity);
  });
  afterEach(async () => {
    await devices.stop();
    await other.close();
    await platform.close();
  });

  const tellMoved = (port = other.port, host = '127.0.0.1') => platform.home.publish(ownTopic, movedReport(host, port));
  const broker = async () => (await store.state()).broker;

  it('is at the new broker before it leaves the old one, with the certificate and the topics that it has', async () => {
    const { device, active, problems } = devices.start(store);
    await active;
    const before = await store.credentials();
    const stillThere: number[] = [];
    other.maySubscribe = () => stillThere.push(platform.home.aedes.connectedClients) > 0;
    const left = once(platform.home.aedes, 'clientDisconnect');
    const moved = noticed(device, 'moved');
    await tellMoved();
    await moved;
    await left;
    expect(stillThere).toEqual([1, 1]);
    expect(other.wanted).toEqual([ownTopic, topic]);
    expect(await store.state()).toMatchObject({ broker: { host: '127.0.0.1', port: other.port }, topics: [topic] });
    expect((await store.state()).next).toBeUndefined();
    expect(await store.credentials()).toEqual(before);
    expect(problems).toEqual([]);
    const obeyed = once(device, 'command');
    await other.publish(topic, command('on'));
    await obeyed;
    await device.stop();
    expect(reportsOn(other.seen, topic)).toContainEqual(expect.objectContaining({ report_name: 'set', value: 'ok' }));
  });

  it('obeys whatever comes meanwhile, at either broker', async () => {
    const { device, active } = devices.start(store);
    await active;
    const obeyed: unknown[] = [];
    device.on('command', ({ value }) => obeyed.push(value));
    // The new broker takes its time to serve; the old one goes on.
    let serve: () => void = () => undefined;
    const wait = new Promise<void>((resolve) => {
      serve = resolve;
    });
    const asked = new Promise<void>((resolve) => {
      other.answer = async () => {
        resolve();
        await wait;
        return topicsReport([topic]);
      };
    });
    await tellMoved();
    await asked;
    const meanwhile = once(device, 'command');
    await platform.home.publish(topic, command('on'));
    await meanwhile;
    const moved = noticed(device, 'moved');
    serve();
    await moved;
    const after = once(device, 'command');
    await other.publish(topic, command('off'));
    await after;
    expect(obeyed).toEqual(['on', 'off']);
  });

  it('says at the new broker what the old one has not acknowledged', async () => {
    const { device, active } = devices.start(store);
    await active;
    await once(device, 'report');
    // From now on the old broker takes messages and never says so.
    const taken = new Promise<void>((resolve) => {
      platform.home.aedes.authorizePublish = (client) => {
        if (client !== null) resolve();
      };
    });
    await platform.home.publish(topic, command('on'));
    await taken;
    await tellMoved();
    const said = new Promise<void>((resolve) => {
      other.aedes.on('publish', () => {
        const names = reportsOn(other.seen, topic).map((report) => report['report_name']);
        if (names.includes('set') && names.includes('state')) resolve();
      });
    });
    await noticed(device, 'moved');
    platform.home.disconnectAll();
    await said;
  });

  it('says again what was on its way when the connection broke, at the same broker too', async () => {
    const { device, active } = devices.start(store);
    await active;
    await once(device, 'report');
    const authorize = platform.home.aedes.authorizePublish;
    const taken = new Promise<void>((resolve) => {
      platform.home.aedes.authorizePublish = () => resolve();
    });
    await platform.home.publish(topic, command('on'));
    await taken;
    platform.home.aedes.authorizePublish = authorize;
    const answered = once(device, 'command');
    platform.home.disconnectAll();
    await answered;
    await device.stop();
    expect(reportsOn(platform.home.seen, topic)).toContainEqual(
      expect.objectContaining({ report_name: 'set', value: 'ok' }),
    );
  });

  it('stays where it is served when the new broker does not serve it, and says so', async () => {
    other.answer = () => undefined;
    const { device, active } = devices.start(store, { times: { answerTimeoutMs: 10 } });
    await active;
    const before = await store.state();
    const stays = noticed(device, 'stays');
    await tellMoved();
    await stays;
    expect(await store.state()).toEqual(before);
    expect(other.connects).toBe(8);
    expect(platform.home.connects).toBe(1);
    const obeyed = once(device, 'command');
    await platform.home.publish(topic, command('on'));
    await obeyed;
  });

  it('goes when it is told again, after the new broker has come up', async () => {
    other.answer = () => undefined;
    const { device, active } = devices.start(store, { times: { answerTimeoutMs: 10 } });
    await active;
    const stays = noticed(device, 'stays');
    await tellMoved();
    await stays;
    other.answer = () => topicsReport([topic]);
    const moved = noticed(device, 'moved');
    await tellMoved();
    await moved;
    expect(await broker()).toEqual({ host: '127.0.0.1', port: other.port });
  });

  it('goes back when its home moves back', async () => {
    const { device, active } = devices.start(store);
    await active;
    const there = noticed(device, 'moved');
    await tellMoved();
    await there;
    const back = noticed(device, 'moved');
    await other.publish(ownTopic, movedReport('127.0.0.1', platform.home.port));
    await back;
    expect(await broker()).toEqual({ host: '127.0.0.1', port: platform.home.port });
  });

  it('takes nothing that it has not tried, whatever it is told while it tries something else', async () => {
    const third = await platform.startHome();
    third.answer = () => undefined;
    // It is told to go on to a third while it is being served by the other.
    other.answer = async () => {
      await platform.home.publish(ownTopic, movedReport('127.0.0.1', third.port));
      return topicsReport([topic]);
    };
    const { device, active } = devices.start(store, { times: { answerTimeoutMs: 200 } });
    await active;
    const stays = noticed(device, 'stays');
    await tellMoved();
    await stays;
    expect(third.connects).toBe(8);
    expect(await broker()).toEqual({ host: '127.0.0.1', port: other.port });
    await device.stop();
    await third.close();
  });

  describe('is not led astray', () => {
    async function isNotMovedBy(report: object): Promise<void> {
      const { device, active } = devices.start(store);
      await active;
      const before = await store.state();
      const obeyed = once(device, 'command');
      const stays = noticed(device, 'stays');
      await platform.home.publish(ownTopic, report);
      await stays;
      await platform.home.publish(topic, command('on'));
      await obeyed;
      expect({ ...(await store.state()), settings: {} }).toEqual({ ...before, settings: {} });
      expect(platform.home.connects).toBe(1);
    }

    it('to a broker of a foreign CA: nothing is said to it', async () => {
      const foreign = await StandInAuthority.create('stand-in root');
      const impostor = await startStandInBroker({ ...foreign.server, clientCa: [platform.authority.root.certificate] });
      await isNotMovedBy(movedReport('127.0.0.1', impostor.port));
      expect(impostor).toMatchObject({ connects: 0, bytes: 0 });
      await impostor.close();
    });

    it('to a host that the certificate there is not for', async () => {
      await isNotMovedBy(movedReport('127.0.0.2', other.port));
      expect(other.bytes).toBe(0);
    });

    it.each([
      ['no host', { broker_port: 8883 }],
      ['a scheme', { broker_ip: 'mqtts://127.0.0.1' }],
      ['a port that is none', { broker_ip: '127.0.0.1', broker_port: 0 }],
      ['a certificate with it', { broker_ip: '127.0.0.1', device_certificate: 'PEM' }],
      ['a host of 254 characters', { broker_ip: 'a'.repeat(254) }],
    ])('by %s', async (_what, value) => {
      const { device, active, notices } = devices.start(store);
      await active;
      const before = await store.state();
      const obeyed = once(device, 'command');
      await platform.home.publish(ownTopic, { ...movedReport('x', 1), value });
      await platform.home.publish(topic, command('query'));
      await obeyed;
      expect(notices).toEqual([]);
      expect(await store.state()).toEqual(before);
    });

    it('by a word on one of its other topics, or by a command', async () => {
      const { device, active, notices } = devices.start(store);
      await active;
      const obeyed = once(device, 'command');
      await platform.home.publish(topic, movedReport('127.0.0.1', other.port));
      await platform.home.publish(ownTopic, { ...movedReport('127.0.0.1', other.port), type: 'command' });
      await platform.home.publish(topic, command('on'));
      await obeyed;
      expect(notices).toEqual([]);
      expect(other.connects).toBe(0);
    });

    it('by a broker that has not served it', async () => {
      const third = await platform.startHome();
      other.answer = () => movedReport('127.0.0.1', third.port);
      const { device, active } = devices.start(store, { times: { answerTimeoutMs: 10 } });
      await active;
      const stays = noticed(device, 'stays');
      await tellMoved();
      await stays;
      expect(third.connects).toBe(0);
      await third.close();
    });
  });

  it('arrives although the power was lost after it was told', async () => {
    other.answer = () => undefined;
    const first = devices.start(store);
    await first.active;
    await tellMoved();
    await once(other.aedes, 'publish');
    await first.device.stop();
    expect((await store.state()).next).toMatchObject({ broker: { port: other.port } });

    other.answer = () => topicsReport([topic]);
    await platform.home.close();
    const second = devices.start(store);
    await second.active;
    expect(await broker()).toMatchObject({ port: other.port });
    platform.home.close = async () => undefined;
  });

  it('is at home at the old broker again when the power was lost and the new one is gone', async () => {
    other.answer = () => undefined;
    const first = devices.start(store);
    await first.active;
    await tellMoved();
    await once(other.aedes, 'publish');
    await first.device.stop();

    other.mayConnect = () => false;
    const second = devices.start(store);
    const stays = noticed(second.device, 'stays');
    await second.active;
    await stays;
    expect(await broker()).toMatchObject({ port: platform.home.port });
  });

  describe('before it has a name', () => {
    const asks = (broker: StandInBroker): Promise<void> =>
      new Promise((resolve) => {
        broker.answer = () => {
          resolve();
          return undefined;
        };
      });
    /** Nobody names it; resolves when it has asked for its topics at a broker. */
    const unnamed = async () => {
      const asked = asks(platform.home);
      const running = devices.start(store);
      await asked;
      return running;
    };

    it('goes to the new broker, waits for its name there, and forgets the one before', async () => {
      const { device, active, problems } = await unnamed();
      const left = once(platform.home.aedes, 'clientDisconnect');
      const asksThere = asks(other);
      const moved = noticed(device, 'moved');
      await tellMoved();
      await moved;
      await asksThere;
      await left;
      expect(await store.state()).toMatchObject({ phase: 'joined', broker: { port: other.port }, topics: [] });
      expect(problems).toEqual([]);
      await other.publish(ownTopic, topicsReport([topic]));
      await active;
      expect(await store.state()).toMatchObject({ phase: 'active', broker: { port: other.port }, topics: [topic] });
      expect((await store.state()).next).toBeUndefined();
    });

    it('gets there although the power was lost at any moment', async () => {
      const { device } = await unnamed();
      other.mayConnect = () => false;
      const problem = once(device, 'problem');
      await tellMoved();
      await problem;
      await device.stop();
      expect(await store.state()).toMatchObject({ phase: 'joined', broker: { port: platform.home.port } });
      // It is told again when it asks.
      other.mayConnect = () => true;
      platform.home.answer = () => movedReport('127.0.0.1', other.port);
      other.answer = ({ json }) => (json['command_type'] === 'topics' ? topicsReport([topic]) : undefined);
      await devices.start(store).active;
      expect(await broker()).toMatchObject({ port: other.port });
    });

    it('waits where it is as long as the new broker does not want it', async () => {
      const { device } = await unnamed();
      other.mayConnect = () => false;
      const stays = noticed(device, 'stays');
      await tellMoved();
      await stays;
      expect(await store.state()).toMatchObject({ phase: 'joined', broker: { port: platform.home.port } });
      expect(platform.home.aedes.connectedClients).toBe(1);
    });

    it('goes to no impostor', async () => {
      const { device } = await unnamed();
      const stranger = await startStandInBroker({
        ...(await StandInAuthority.create('stranger')).server,
        clientCa: [],
      });
      const stays = noticed(device, 'stays');
      await tellMoved(stranger.port);
      await stays;
      expect(stranger.bytes).toBe(0);
      expect(await broker()).toMatchObject({ port: platform.home.port });
      await stranger.close();
    });

    it('is told by the Discovery server, when its broker is gone', async () => {
      const { device, active } = await unnamed();
      await device.stop();
      const { certificate } = (await store.credentials()) ?? { certificate: '' };
      platform.activation.answer = () => platform.brokerData(certificate, other);
      platform.home.mayConnect = () => false;
      platform.home.disconnectAll();
      other.answer = ({ json }) => (json['command_type'] === 'topics' ? topicsReport([topic]) : undefined);
      active.catch(() => undefined);
      await platform.home.close();
      platform.home.close = async () => undefined;
      await devices.start(store).active;
      expect(await broker()).toMatchObject({ port: other.port });
    });
  });
});
