import { X509Certificate } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLabel } from '@mqtt2go/protocol';
import { FolderDeviceStore } from '@mqtt2go/device-sdk';
import jsqr from 'jsqr';
import { PNG } from 'pngjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { running } from '../stand-in/running.js';
import { type StandInBus, startStandInBus } from '../stand-in/stand-in-bus.js';

const importPattern = 'mqtt2go/provisioning/import-factory-records';

describe('factory mint', () => {
  let bus: StandInBus;
  let folder: string;

  beforeEach(async () => {
    bus = await startStandInBus();
    bus.answers.set('mqtt2go/discovery/register-manufacturer', () => ({ fingerprint: 'ab' }));
    bus.answers.set(importPattern, () => ({ imported: 1, rejected: [] }));
    folder = join(bus.dataDir, 'devices', 'kettle-1');
  });
  afterEach(() => bus.close());

  const mint = (...more: string[]) =>
    running([
      'factory',
      'mint',
      '--device-id',
      'kettle-1',
      '--device-type',
      'socket',
      '--out',
      folder,
      '--data',
      bus.dataDir,
      ...more,
    ]);

  it('writes all that a device leaves the factory with', async () => {
    expect(await mint()).toMatchObject({ code: 0, err: '' });
    expect((await readdir(folder)).sort()).toEqual(['ca.crt', 'device.crt', 'device.json', 'device.key', 'label.png']);
    expect((await stat(join(folder, 'device.key'))).mode & 0o777).toBe(0o600);
    const { file, certificate, key, ca } = await new FolderDeviceStore(folder).identity();
    expect(file).toMatchObject({
      device_id: 'kettle-1',
      device_type: 'socket',
      discovery: { host: 'localhost', port: 1885 },
    });
    expect(file.activation_code).toMatch(/^[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{4}$/);
    expect(ca).toBe(bus.ca);
    const manufacturer = new X509Certificate(await readFile(join(bus.dataDir, 'manufacturer', 'ca.crt')));
    const device = new X509Certificate(certificate);
    expect(device.checkIssued(manufacturer) && device.verify(manufacturer.publicKey)).toBe(true);
    expect(device.subject).toContain('CN=kettle-1');
    expect(key).toContain('PRIVATE KEY');
  });

  it('prints a label that a camera can read', async () => {
    await mint('--code', 'K7WM-3XQP-9RTD');
    const { data, width, height } = PNG.sync.read(await readFile(join(folder, 'label.png')));
    const content = jsqr.default(new Uint8ClampedArray(data), width, height)?.data ?? '';
    expect(content).toBe('mqtt2go:kettle-1?code=K7WM-3XQP-9RTD&type=socket');
    expect(parseLabel(content)).toEqual({
      deviceId: 'kettle-1',
      activationCode: 'K7WM-3XQP-9RTD',
      deviceType: 'socket',
    });
  });

  it.each([
    ['existing-key', true],
    ['csr', false],
    ['server-key', false],
  ])('records the device; its public key where the certificate is for it (%s)', async (mode, withKey) => {
    const { out } = await mint('--key-mode', mode, '--json');
    const [registered, recorded] = bus.calls;
    expect(registered?.pattern).toBe('mqtt2go/discovery/register-manufacturer');
    const record = {
      device_id: 'kettle-1',
      activation_code: JSON.parse(out).activation_code,
      device_type: 'socket',
      key_mode: mode,
    };
    const key = withKey ? { public_key: expect.stringContaining('BEGIN PUBLIC KEY') } : {};
    expect(recorded).toEqual({ pattern: importPattern, body: { records: [{ ...record, ...key }] } });
  });

  it('keeps one CA, its key to itself', async () => {
    await mint();
    const path = join(bus.dataDir, 'manufacturer');
    const first = await readFile(join(path, 'ca.crt'), 'utf8');
    expect((await stat(join(path, 'ca.key'))).mode & 0o777).toBe(0o600);
    await mint('--force');
    expect(await readFile(join(path, 'ca.crt'), 'utf8')).toBe(first);
    expect(JSON.stringify(bus.calls)).not.toContain('PRIVATE KEY');
  });

  it('does not overwrite a folder unless it is told to, and then forgets what the device had become', async () => {
    await mint();
    const before = await readFile(join(folder, 'device.json'), 'utf8');
    expect(await mint()).toMatchObject({ code: 1, err: expect.stringContaining('--force') });
    expect(await readFile(join(folder, 'device.json'), 'utf8')).toBe(before);
    await writeFile(join(folder, 'state.json'), '{}');
    expect(await mint('--force')).toMatchObject({ code: 0 });
    expect(await readdir(folder)).not.toContain('state.json');
  });

  it('leaves nothing behind when the registry does not take the record', async () => {
    bus.answers.set(importPattern, () => ({ imported: 0, rejected: [{ index: 0, reason: 'no room' }] }));
    expect(await mint()).toMatchObject({ code: 1, err: expect.stringContaining('no room') });
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('says nothing to those who want silence', async () => {
    expect(await mint('--quiet')).toEqual({ code: 0, out: '', err: '' });
  });
});
