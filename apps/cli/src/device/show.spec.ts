import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderDeviceStore } from '@mqtt2go/device-sdk';
import { Authority, generateKeys, readCertificate, writePrivateKey } from '@mqtt2go/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { running } from '../stand-in/running.js';

const nowMs = Date.UTC(2026, 0, 1);

describe('device show', () => {
  let folder: string;
  let store: FolderDeviceStore;
  let certificate: string;
  let key: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-show-'));
    store = new FolderDeviceStore(folder);
    const root = Authority.createRoot({
      commonName: 'Root',
      keys: await generateKeys(),
      nowMs,
      validityMs: 20 * 365 * 86_400_000,
    });
    const keys = await generateKeys();
    key = writePrivateKey(keys.privateKey);
    certificate = root.issueDevice({ deviceId: 'kettle-1', publicKey: keys.publicKey, nowMs }).pem;
    const file = {
      device_id: 'kettle-1',
      activation_code: 'K7WM-3XQP-9RTD',
      device_type: 'socket',
      discovery: { host: 'localhost', port: 8885 },
    };
    await writeFile(join(folder, 'device.json'), JSON.stringify(file));
    await writeFile(join(folder, 'device.crt'), certificate);
    await writeFile(join(folder, 'device.key'), key);
    await writeFile(join(folder, 'ca.crt'), root.certificate);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('tells of a device that has not been added', async () => {
    const { code, out } = await running(['device', 'show', folder]);
    expect(code).toBe(0);
    expect(out).toContain('as it left the factory');
    expect(out).not.toContain('Broker');
  });

  it('tells broker, certificate, topics and what is to be tried, within 90 columns and without the code', async () => {
    await store.saveJoined({ broker: { host: 'localhost', port: 8883 }, certificate, key });
    await store.saveTopics(['home-1/gw-1/kitchen/socket/kettle-1', 'home-1/gw-1/all/socket/kettle-1']);
    await store.saveSettings({ state: 'on' });
    await store.saveNext({ broker: { host: 'MQTT2GO.local', port: 8883 }, certificate: { certificate } });
    const { code, out } = await running(['device', 'show', folder]);
    expect(code).toBe(0);
    for (const part of [
      'active',
      'localhost:8883',
      readCertificate(certificate).serialNumber,
      'until 2028-01-01, to be renewed from 2027-',
      'a key of its own',
      'the broker MQTT2GO.local:8883',
      'another certificate',
      'home-1/gw-1/all/socket/kettle-1',
      '{"state":"on"}',
    ]) {
      expect(out).toContain(part);
    }
    expect(out).not.toContain('K7WM');
    expect(out).not.toContain('PRIVATE KEY');
    expect(out.split('\n').filter((line) => line.length > 90 && !line.includes(folder))).toEqual([]);
  });

  it('tells the same as JSON', async () => {
    await store.saveJoined({ broker: { host: 'localhost', port: 8883 }, certificate });
    const { out } = await running(['device', 'show', folder, '--json']);
    expect(JSON.parse(out)).toMatchObject({
      device_id: 'kettle-1',
      phase: 'joined',
      broker: { host: 'localhost', port: 8883 },
      certificate: { key: 'pre-loaded', not_after: expect.stringMatching(/^2028-/), renewal_to_confirm: false },
      topics: [],
    });
    expect(out).not.toContain('K7WM');
  });

  it('ends with an error for a folder that is no device’s', async () => {
    await rm(join(folder, 'device.json'));
    const { code, err } = await running(['device', 'show', folder]);
    expect(code).not.toBe(0);
    expect(err).toContain('device.json');
  });
});
