import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLastKnownTime, writeLastKnownTime, writePlatformFile } from '@mqtt2go/config';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { running } from '../stand-in/running.js';

describe('mqtt2go clock', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-clock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const clock = (...args: string[]) => running(['--data', folder, '--json', 'clock', ...args]);

  it('shows the last known time, and whether the system is behind it', async () => {
    expect(JSON.parse((await clock('show')).out)).toMatchObject({ lastKnown: null, isBehind: false });
    const ahead = Date.now() + 86_400_000;
    await writeLastKnownTime(folder, ahead);
    const shown = { lastKnown: new Date(ahead).toISOString(), isBehind: true };
    expect(JSON.parse((await clock('show')).out)).toMatchObject(shown);
    expect((await running(['--data', folder, 'clock', 'show'])).out).toContain('mqtt2go clock reset');
  });

  it('forgets it, unless the platform runs', async () => {
    await writeLastKnownTime(folder, Date.now());
    const ports = { home: 1, homeWss: 2, activation: 3, discovery: 4, bus: 5, health: 6 };
    const file = { host: 'localhost', ports, busUrl: 'mqtts://x', controllerUrl: 'mqtts://x', tlsDir: '/tls' };
    await writePlatformFile(folder, { ...file, pid: process.pid, startedAt: new Date().toISOString() });
    const refused = await clock('reset');
    expect(refused.code).not.toBe(0);
    expect(refused.err + refused.out).toContain(String(process.pid));
    expect(await readLastKnownTime(folder)).toBeDefined();
    await rm(join(folder, 'platform.json'));
    expect((await clock('reset')).code).toBe(0);
    expect(await readLastKnownTime(folder)).toBeUndefined();
  });

  it('resets also what cannot be read', async () => {
    await writeFile(join(folder, 'clock.json'), 'noise');
    expect((await clock('show')).code).not.toBe(0);
    expect((await clock('reset')).code).toBe(0);
  });
});
