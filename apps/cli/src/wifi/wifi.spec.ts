import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { running } from '../stand-in/running.js';
import { type StandInBus, startStandInBus } from '../stand-in/stand-in-bus.js';

describe('mqtt2go wifi', () => {
  let bus: StandInBus;
  let folder: string;

  beforeEach(async () => {
    bus = await startStandInBus();
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-wifi-'));
  });
  afterEach(async () => {
    await bus.close();
    await rm(folder, { recursive: true, force: true });
  });

  const wifi = (args: string[], stdin = '') =>
    running(
      ['--data', bus.dataDir, 'wifi', ...args, '--home', 'home-1', '--gateway', 'gw-1'],
      new AbortController().signal,
      stdin,
    );
  const at = { homeId: 'home-1', gatewayId: 'gw-1' };

  it('sets it with a password from stdin or from a file, and never says it', async () => {
    const byStdin = await wifi(['set', '--ssid', 'Ours'], 'correct horse\n');
    expect(byStdin).toMatchObject({ code: 0, err: '' });
    const file = join(folder, 'password');
    await writeFile(file, 'battery staple\r\nmore\n');
    const byFile = await wifi(['set', '--ssid', 'Ours', '--password-file', file]);
    expect(byFile.code).toBe(0);
    expect(bus.calls).toEqual([
      { pattern: 'mqtt2go/provisioning/set-wifi', body: { ...at, ssid: 'Ours', password: 'correct horse' } },
      { pattern: 'mqtt2go/provisioning/set-wifi', body: { ...at, ssid: 'Ours', password: 'battery staple' } },
    ]);
    expect(byStdin.out + byFile.out).not.toMatch(/correct horse|battery staple/);
  });

  it('takes no password from the command line, and none that is not there', async () => {
    expect((await wifi(['set', '--ssid', 'Ours', '--password', 'correct horse'])).code).toBe(2);
    for (const args of [[], ['--password-file', join(folder, 'missing')]]) {
      expect(await wifi(['set', '--ssid', 'Ours', ...args])).toMatchObject({
        code: 1,
        err: expect.stringContaining('configuration_invalid'),
      });
    }
    expect(bus.calls).toEqual([]);
  });

  it('shows and removes it', async () => {
    bus.answers.set('mqtt2go/provisioning/show-wifi', () => ({ ssid: 'Ours', setAt: '2026-01-01T00:00:00.000Z' }));
    expect((await wifi(['show'])).out).toContain('Ours');
    expect((await wifi(['remove'])).code).toBe(0);
    expect(bus.calls.map(({ pattern }) => pattern)).toEqual([
      'mqtt2go/provisioning/show-wifi',
      'mqtt2go/provisioning/remove-wifi',
    ]);
    bus.answers.set('mqtt2go/provisioning/show-wifi', () => {
      throw new Mqtt2goError('wifi_not_set');
    });
    expect(await wifi(['show'])).toMatchObject({ code: 1, err: expect.stringContaining('wifi set') });
  });
});
