import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderDeviceStore } from './folder-device-store.js';

const broker = { host: 'broker.example', port: 8883 };

describe('a device in a folder', () => {
  let folder: string;
  let store: FolderDeviceStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-device-'));
    store = new FolderDeviceStore(folder);
    const file = {
      device_id: 'socket-1',
      activation_code: 'code',
      device_type: 'socket',
      discovery: { host: 'localhost', port: 8885 },
    };
    await writeFile(join(folder, 'device.json'), JSON.stringify(file));
    await writeFile(join(folder, 'device.crt'), 'pre-loaded certificate');
    await writeFile(join(folder, 'device.key'), 'pre-loaded key');
    await writeFile(join(folder, 'ca.crt'), 'ca');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('leaves the factory knowing nothing but itself', async () => {
    expect((await store.identity()).file.device_id).toBe('socket-1');
    expect(await store.state()).toEqual({ phase: 'factory', topics: [], settings: {} });
    expect(await store.credentials()).toBeUndefined();
    expect(await store.pendingKey()).toBeUndefined();
  });

  it('remembers across a restart what it got', async () => {
    await store.saveJoined({ broker, certificate: 'new certificate', key: 'new key' });
    await store.saveTopics(['a/b/c/d/e']);
    await store.saveSettings({ state: 'on' });
    const later = new FolderDeviceStore(folder);
    expect(await later.state()).toEqual({
      phase: 'active',
      broker,
      key: 'operational',
      topics: ['a/b/c/d/e'],
      settings: { state: 'on' },
    });
    expect(await later.credentials()).toEqual({ certificate: 'new certificate', key: 'new key' });
  });

  it('uses the pre-loaded key where the certificate is for it, whatever key lies about', async () => {
    await store.savePendingKey('a key of an earlier request');
    await store.saveJoined({ broker, certificate: 'new certificate' });
    expect(await store.credentials()).toEqual({ certificate: 'new certificate', key: 'pre-loaded key' });
  });

  it('takes a certificate without its state for nothing: the power went in between', async () => {
    await writeFile(join(folder, 'operational.crt'), 'new certificate');
    expect((await store.state()).phase).toBe('factory');
    expect(await store.credentials()).toBeUndefined();
  });

  it('does not lose one of two changes made at once', async () => {
    await store.saveJoined({ broker, certificate: 'c' });
    await Promise.all([store.saveTopics(['a/b/c/d/e']), store.saveSettings({ state: 'on' })]);
    expect(await store.state()).toMatchObject({ phase: 'active', settings: { state: 'on' } });
  });

  it('lets nobody else read its key, and leaves no half-written file', async () => {
    await store.saveJoined({ broker, certificate: 'c', key: 'k' });
    expect((await stat(join(folder, 'operational.key'))).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('forgets everything but what the factory gave it', async () => {
    await store.saveJoined({ broker, certificate: 'c', key: 'k' });
    await store.forget();
    expect((await readdir(folder)).sort()).toEqual(['ca.crt', 'device.crt', 'device.json', 'device.key']);
    expect(await readFile(join(folder, 'device.key'), 'utf8')).toBe('pre-loaded key');
  });

  it.each([
    ['device.json', '{"device_id":"a/b"}'],
    ['state.json', 'half a fi'],
  ])('says which file it cannot understand (%s)', async (name, content) => {
    await writeFile(join(folder, name), content);
    const reading = name === 'state.json' ? store.state() : store.identity();
    await expect(reading).rejects.toMatchObject({
      code: 'configuration_invalid',
      message: expect.stringContaining(name),
    });
  });

  it('says which file is missing', async () => {
    await rm(join(folder, 'device.key'));
    await expect(store.identity()).rejects.toMatchObject({
      code: 'configuration_invalid',
      message: expect.stringContaining('device.key'),
    });
  });
});
