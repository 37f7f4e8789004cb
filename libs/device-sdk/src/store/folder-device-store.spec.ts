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
    expect(await store.state()).toEqual({
      phase: 'factory',
      slot: 'operational',
      toConfirm: false,
      topics: [],
      settings: {},
    });
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
      slot: 'operational',
      toConfirm: false,
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

  describe('with something next', () => {
    const files = async () => (await readdir(folder)).sort();
    const elsewhere = { host: 'elsewhere.example', port: 1234 };

    beforeEach(async () => {
      await store.saveJoined({ broker, certificate: 'c1', key: 'k1' });
      await store.saveTopics(['a/b/c/d/e']);
    });

    it('keeps what it has until the next has proved good', async () => {
      await store.saveNext({ certificate: { certificate: 'c2', key: 'k2' }, renewal: true });
      expect(await store.credentials()).toEqual({ certificate: 'c1', key: 'k1' });
      expect(await store.credentials('next')).toEqual({ certificate: 'c2', key: 'k2' });
      await store.takeNext(['a/b/c/d/f']);
      const later = new FolderDeviceStore(folder);
      expect(await later.credentials()).toEqual({ certificate: 'c2', key: 'k2' });
      expect(await later.credentials('next')).toBeUndefined();
      expect(await later.state()).toMatchObject({ broker, topics: ['a/b/c/d/f'], toConfirm: true });
      await later.saveConfirmed();
      expect((await later.state()).toConfirm).toBe(false);
    });

    it('changes the broker alone, the certificate alone, or both', async () => {
      await store.saveNext({ broker: elsewhere });
      expect(await store.credentials('next')).toEqual({ certificate: 'c1', key: 'k1' });
      await store.takeNext(['t']);
      expect(await store.state()).toMatchObject({ broker: elsewhere, slot: 'operational', toConfirm: false });
      await store.saveNext({ broker, certificate: { certificate: 'c3' } });
      await store.takeNext(['t']);
      expect(await store.state()).toMatchObject({ broker, key: 'pre-loaded', toConfirm: false });
      expect(await store.credentials()).toEqual({ certificate: 'c3', key: 'pre-loaded key' });
    });

    it('stays with what it has when the next is no good, and has room for the one after', async () => {
      await store.saveNext({ broker: elsewhere, certificate: { certificate: 'c2', key: 'k2' } });
      await store.dropNext();
      expect(await store.state()).toMatchObject({ broker, phase: 'active' });
      expect(await store.credentials()).toEqual({ certificate: 'c1', key: 'k1' });
      for (const n of [3, 4, 5]) {
        await store.saveNext({ certificate: { certificate: `c${n}`, key: `k${n}` } });
        await store.takeNext(['t']);
        expect(await store.credentials()).toEqual({ certificate: `c${n}`, key: `k${n}` });
      }
      expect((await files()).filter((name) => name.startsWith('operational'))).toHaveLength(4);
    });

    it('never writes to the files that its state names', async () => {
      await store.saveNext({ certificate: { certificate: 'c2', key: 'k2' } });
      // The power goes while the next of the next is written: the state names neither yet.
      await store.dropNext();
      await writeFile(join(folder, 'operational-2.crt'), 'half a ce');
      expect(await new FolderDeviceStore(folder).credentials()).toEqual({ certificate: 'c1', key: 'k1' });
    });

    it('has a key of its own for a request, until the certificate for it is there', async () => {
      await store.savePendingKey('k2');
      expect(await store.credentials()).toEqual({ certificate: 'c1', key: 'k1' });
      await store.saveNext({ certificate: { certificate: 'c2', key: 'k2' } });
      expect(await store.pendingKey()).toBeUndefined();
      expect((await stat(join(folder, 'operational-2.key'))).mode & 0o777).toBe(0o600);
    });

    it('forgets that, too', async () => {
      await store.savePendingKey('k3');
      await store.saveNext({ certificate: { certificate: 'c2', key: 'k2' } });
      await store.savePendingKey('k3');
      await store.forget();
      expect(await files()).toEqual(['ca.crt', 'device.crt', 'device.json', 'device.key']);
    });
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
