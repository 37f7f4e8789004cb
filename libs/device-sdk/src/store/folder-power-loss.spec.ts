import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Power } from '../stand-in/power.js';
import { FolderDeviceStore } from './folder-device-store.js';

let power = new Power(0, () => undefined);

// The real writes to the real disk, with a power that fails before or after one of them.
vi.mock(import('./atomic-file.js'), async (original) => {
  const { writeFileAtomically, removeFile } = await original();
  const passing = async (write: () => Promise<void>): Promise<void> => {
    power.pass();
    await write();
    power.pass();
  };
  return {
    writeFileAtomically: (...args) => passing(() => writeFileAtomically(...args)),
    removeFile: (...args) => passing(() => removeFile(...args)),
  };
});

const broker = { host: 'broker.example', port: 8883 };
const certificate = (n: number) => ({ certificate: `c${n}`, key: `k${n}` });

/** All that a device's store goes through, twice over. */
async function life(store: FolderDeviceStore): Promise<void> {
  await store.savePendingKey('k1');
  await store.saveJoined({ broker, ...certificate(1) });
  await store.saveTopics(['t']);
  await store.saveSettings({ state: 'on' });
  for (const n of [2, 4]) {
    await store.savePendingKey(`k${n}`);
    await store.saveNext({ certificate: certificate(n), renewal: true });
    await store.takeNext(['t']);
    await store.saveConfirmed();
    await store.saveNext({ broker });
    await store.saveNext({ certificate: certificate(n + 1), broker });
    await store.dropNext();
    await store.saveNext({ broker });
    await store.takeNext(['t']);
  }
  await store.forget();
  await store.saveJoined({ broker, certificate: 'c6' });
}

describe('a power loss between any two writes of a device’s folder', () => {
  let folder: string;
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function begin(failsAt: number): Promise<FolderDeviceStore> {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-folder-'));
    await writeFile(join(folder, 'device.key'), 'pre-loaded key');
    power = new Power(failsAt, () => undefined);
    return new FolderDeviceStore(folder);
  }

  it('leaves each certificate with its own key, and the one in use in use', async () => {
    await life(await begin(0));
    const { moments } = power;
    expect(moments).toBeGreaterThan(60);
    for (let moment = 1; moment <= moments; moment++) {
      await rm(folder, { recursive: true, force: true });
      await expect(life(await begin(moment))).rejects.toThrow();
      power = new Power(0, () => undefined);
      const store = new FolderDeviceStore(folder);
      const state = await store.state();
      for (const which of ['current', 'next'] as const) {
        const credentials = await store.credentials(which);
        if (credentials === undefined) continue;
        const expected =
          credentials.certificate === 'c6' ? 'pre-loaded key' : credentials.certificate.replace('c', 'k');
        expect({ moment, which, key: credentials.key }).toEqual({ moment, which, key: expected });
      }
      expect((await store.credentials()) === undefined).toBe(state.phase === 'factory');
      // And it goes on from there to the end.
      await life(store);
      expect(await store.credentials()).toEqual({ certificate: 'c6', key: 'pre-loaded key' });
    }
  }, 60_000);
});
