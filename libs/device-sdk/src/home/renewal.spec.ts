import { once } from 'node:events';
import { createPublicKey } from 'node:crypto';
import {
  DEVICE_VALIDITY_MS,
  generateKeys,
  readCertificate,
  readCertificateRequest,
  writePublicKey,
} from '@mqtt2go/pki';
import type { KeyMode } from '@mqtt2go/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noticed, RunningDevices } from '../stand-in/running-devices.js';
import { csrOf, refusal, renewedReport, StandInPlatform, topicsReport } from '../stand-in/stand-in-platform.js';
import type { SeenMessage } from '../stand-in/stand-in-broker.js';
import { MemoryDeviceStore } from '../store/memory-device-store.js';
import { renewAtMs } from './renewal.js';

const id = 'socket-1';
const ownTopic = `${id}/topics`;
const topic = 'home/gw/kitchen/socket/socket-1';

describe('a device whose certificate nears its end', () => {
  let platform: StandInPlatform;
  let devices: RunningDevices;
  /** The requests for renewal, as they came. */
  let asked: Record<string, unknown>[];
  let answerRenewal: (value: Record<string, unknown>) => object | undefined | Promise<object | undefined>;

  beforeEach(async () => {
    platform = await StandInPlatform.start();
    devices = new RunningDevices();
    asked = [];
  });
  afterEach(async () => {
    await devices.stop();
    await platform.close();
  });

  /** A device that has got a certificate of which so much is over already. */
  async function withCertificate(over: number, mode?: KeyMode): Promise<MemoryDeviceStore> {
    const identity = await platform.mint(id, mode);
    const store = new MemoryDeviceStore(identity);
    const issuedMs = Date.now() - over * DEVICE_VALIDITY_MS;
    platform.activation.answer = async ({ json }) => {
      const key =
        mode === 'csr'
          ? (await readCertificateRequest(csrOf(json['value']))).publicKey
          : mode === 'server-key'
            ? await generateKeys()
            : createPublicKey(identity.key);
      return platform.brokerData(platform.bundle(id, key, issuedMs));
    };
    answerRenewal = async (value) => {
      const credentials = await store.credentials();
      const inUse = createPublicKey(credentials?.key ?? '');
      const key = 'csr' in value ? (await readCertificateRequest(csrOf(value))).publicKey : inUse;
      const { toConfirm } = await store.state();
      const isOwn = toConfirm || over < 0.5;
      return isOwn ? renewedReport(credentials?.certificate ?? '') : renewedReport(platform.bundle(id, key));
    };
    platform.home.answer = home;
    return store;
  }

  async function home({ json }: SeenMessage): Promise<object | undefined> {
    if (json['command_type'] === 'topics') return topicsReport([topic], Date.now());
    const value = json['value'];
    if (typeof value !== 'object' || value === null) return undefined;
    const request: Record<string, unknown> = { ...value };
    asked.push(request);
    return answerRenewal(request);
  }

  async function serialOf(store: MemoryDeviceStore): Promise<string> {
    return readCertificate((await store.credentials())?.certificate ?? '').serialNumber;
  }

  /** Resolves when the device knows that the platform knows that the renewed certificate works. */
  function confirmedIn(store: MemoryDeviceStore): Promise<void> {
    return new Promise((resolve) => {
      const { saveConfirmed } = store;
      store.saveConfirmed = async () => {
        await saveConfirmed.call(store);
        resolve();
      };
    });
  }

  it.each(['existing-key', 'server-key', 'csr'] as const)(
    'gets the next one and lives on with it (%s)',
    async (mode) => {
      const store = await withCertificate(0.76, mode);
      const { device, active, problems } = devices.start(store);
      const renewed = noticed(device, 'renewed');
      const confirmed = confirmedIn(store);
      await active;
      const first = platform.home.serialNumbers[0] ?? '';
      await renewed;
      const serial = await serialOf(store);
      expect(serial).not.toBe(first);
      await confirmed;
      expect(platform.home.serialNumbers).toEqual([first, serial]);
      expect(asked[0]).toMatchObject({ request: 'RENEW_CERTIFICATE', serial_number: first });
      expect('csr' in (asked[0] ?? {})).toBe(mode === 'csr');
      expect(asked[1]).toEqual({ request: 'RENEW_CERTIFICATE', serial_number: serial });
      expect(await store.state()).toMatchObject({ phase: 'active', topics: [topic] });
      expect(problems).toEqual([]);
      const obeyed = once(device, 'command');
      await platform.home.publish(topic, { type: 'command', timestamp: 1, command_type: 'set', value: 'on' });
      await obeyed;
    },
  );

  it('asks for nothing as long as two thirds of its time are not over', async () => {
    const store = await withCertificate(0.66);
    const { active, device } = devices.start(store);
    await active;
    const obeyed = once(device, 'command');
    await platform.home.publish(topic, { type: 'command', timestamp: 1, command_type: 'query', value: 'all' });
    await obeyed;
    await device.stop();
    expect(asked).toEqual([]);
  });

  it('goes by the platform’s time: its own clock may be in 1970 or years ahead', async () => {
    const due = await withCertificate(0.76);
    const late = devices.start(due, { now: () => 5_000 });
    await noticed(late.device, 'renewed');
    await devices.stop();

    asked = [];
    await platform.close();
    platform = await StandInPlatform.start();
    const young = await withCertificate(0.1);
    const ahead = devices.start(young, { now: () => Date.now() + DEVICE_VALIDITY_MS });
    await ahead.active;
    await ahead.device.stop();
    expect(asked).toEqual([]);
  });

  it('does not ask on without end when the platform thinks that it is too early', async () => {
    const store = await withCertificate(0.76);
    const before: string[] = [];
    answerRenewal = async () => {
      before.push(await serialOf(store));
      return renewedReport((await store.credentials())?.certificate ?? '');
    };
    const { device, active } = devices.start(store, { times: { renewAgainMs: 40 } });
    await active;
    await noticed(device, 'renewing', 'out');
    const startedMs = performance.now();
    await noticed(device, 'renewing', 'out');
    expect(performance.now() - startedMs).toBeGreaterThan(25);
    expect(await store.state()).toMatchObject({ toConfirm: false });
    expect((await store.state()).next).toBeUndefined();
    expect(new Set(before)).toEqual(new Set([await serialOf(store)]));
  });

  it('is asked for a request, and makes one for a key of its own', async () => {
    const store = await withCertificate(0.76);
    const { answer } = platform.home;
    const normal = answerRenewal;
    answerRenewal = (value) => ('csr' in value ? normal(value) : refusal('mqtt_credentials', 'csr_required'));
    platform.home.answer = answer;
    const { device } = devices.start(store);
    await noticed(device, 'renewed');
    expect((await store.state()).key).toBe('operational');
  });

  it('asks again after a refusal, and lives on meanwhile', async () => {
    const store = await withCertificate(0.76);
    const normal = answerRenewal;
    answerRenewal = (value) => (asked.length < 3 ? refusal('mqtt_credentials', 'too_many_attempts') : normal(value));
    const { device, problems } = devices.start(store, { times: { renewAgainMs: 10 } });
    await noticed(device, 'renewed');
    expect(problems.map(({ error }) => error.code)).toEqual(['too_many_attempts', 'too_many_attempts']);
  });

  it('holds the same key in a repeated request, kept before the first one left', async () => {
    const store = await withCertificate(0.76, 'csr');
    const keys: string[] = [];
    const kept: boolean[] = [];
    const normal = answerRenewal;
    const first = new Promise<void>((resolve) => {
      answerRenewal = async (value) => {
        kept.push((await store.pendingKey()) !== undefined);
        keys.push(writePublicKey((await readCertificateRequest(csrOf(value))).publicKey));
        resolve();
        return undefined;
      };
    });
    const before = devices.start(store);
    await first;
    await before.device.stop();
    answerRenewal = async (value) => {
      if ('csr' in value) keys.push(writePublicKey((await readCertificateRequest(csrOf(value))).publicKey));
      return normal(value);
    };
    await noticed(devices.start(store).device, 'renewed');
    expect(kept).toEqual([true]);
    expect(keys[1]).toBe(keys[0]);
    expect(await store.pendingKey()).toBeUndefined();
  });

  it('stays with the old one when the broker turns the new one away, and is not cut off', async () => {
    const store = await withCertificate(0.76);
    const { device, active } = devices.start(store);
    await active;
    const first = await serialOf(store);
    platform.home.mayConnect = (_client, serialNumber) => serialNumber === first;
    await noticed(device, 'stays');
    expect(await serialOf(store)).toBe(first);
    expect((await store.state()).next).toBeUndefined();
    const obeyed = once(device, 'command');
    await platform.home.publish(topic, { type: 'command', timestamp: 1, command_type: 'set', value: 'on' });
    await obeyed;
    expect(platform.home.serialNumbers.filter((serial) => serial === first)).toHaveLength(1);
  });

  it('tells that the new one works until it is answered', async () => {
    const store = await withCertificate(0.76);
    const normal = answerRenewal;
    let confirmations = 0;
    answerRenewal = async (value) => {
      if (!(await store.state()).toConfirm) return normal(value);
      confirmations++;
      return confirmations < 3 ? undefined : renewedReport((await store.credentials())?.certificate ?? '');
    };
    const { device } = devices.start(store, { times: { renewAgainMs: 10 } });
    await confirmedIn(store);
    expect(confirmations).toBeGreaterThanOrEqual(3);
    expect((await store.state()).toConfirm).toBe(false);
    await device.stop();
  });

  it('knows its own certificate, whatever chain the platform sends with it: another one may have issued it', async () => {
    const store = await withCertificate(0.76);
    const normal = answerRenewal;
    answerRenewal = async (value) => {
      if (!(await store.state()).toConfirm) return normal(value);
      const own = (await store.credentials())?.certificate ?? '';
      return renewedReport(`${own}${platform.manufacturer.certificate}`);
    };
    const { problems } = devices.start(store);
    await confirmedIn(store);
    expect(problems).toEqual([]);
  });

  describe('does not take', () => {
    async function refuses(bundle: () => string | Promise<string>): Promise<void> {
      const store = await withCertificate(0.76);
      answerRenewal = async () => renewedReport(await bundle());
      const { device, problems } = devices.start(store);
      await new Promise<void>((resolve) =>
        device.on('problem', ({ error }) => error.code === 'certificate_not_accepted' && resolve()),
      );
      expect((await store.state()).next).toBeUndefined();
      expect(problems).toHaveLength(1);
      expect(platform.home.connects).toBe(1);
    }

    it('a certificate of another device', () =>
      refuses(async () => platform.bundle('socket-2', (await generateKeys()).publicKey)));
    it('a certificate for a key that it does not have', () =>
      refuses(async () => platform.bundle(id, (await generateKeys()).publicKey)));
    it('a certificate of a foreign CA', async () => {
      const foreign = await StandInPlatform.start();
      await refuses(async () => foreign.bundle(id, await generateKeys()));
      await foreign.close();
    });
    it('something that is no certificate', () => refuses(() => '-----BEGIN NOTHING-----'));
  });

  it('takes no certificate that it has not asked for', async () => {
    const store = await withCertificate(0.1);
    const { active, device, notices } = devices.start(store);
    await active;
    const obeyed = once(device, 'command');
    const key = createPublicKey((await store.credentials())?.key ?? '');
    await platform.home.publish(ownTopic, renewedReport(platform.bundle(id, key)));
    await platform.home.publish(topic, { type: 'command', timestamp: 1, command_type: 'query', value: 'all' });
    await obeyed;
    expect(notices).toEqual([]);
    expect((await store.state()).next).toBeUndefined();
  });
});

it('renews between two thirds and three quarters of a certificate’s time, spread by the serial number', async () => {
  const platform = await StandInPlatform.start();
  const { publicKey } = await generateKeys();
  const shares = Array.from({ length: 60 }, (_unused, at) => {
    const details = readCertificate(platform.bundle(`d-${at}`, publicKey));
    return (renewAtMs(details) - details.notBeforeMs) / (details.notAfterMs - details.notBeforeMs);
  });
  await platform.close();
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(2 / 3);
  expect(Math.max(...shares)).toBeLessThanOrEqual(3 / 4);
  expect(Math.max(...shares) - Math.min(...shares)).toBeGreaterThan(1 / 24);
});
