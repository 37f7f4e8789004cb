import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { silentLogger, waitFor } from '@mqtt2go/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tellServiceManager } from './service-manager.js';

const run = promisify(execFile);

describe('the service manager', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-notify-'));
    // In the place of systemd's program: notes what it is told, and by whom to whom.
    await writeFile(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$*" >> ${join(folder, 'told')}\n`);
    await chmod(join(folder, 'systemd-notify'), 0o755);
    vi.stubEnv('PATH', `${folder}${delimiter}${process.env.PATH}`);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const told = async (): Promise<string[]> =>
    (await readFile(join(folder, 'told'), 'utf8').catch(() => '')).trim().split('\n');

  it('is told nothing where there is none', async () => {
    const stop = await tellServiceManager({ WATCHDOG_USEC: '1000' }, async () => true, silentLogger);
    await stop();
    expect(await told()).toEqual(['']);
  });

  it('hears that all is there, that it still is only while it is, and that it ends', async () => {
    let isWell = true;
    let asked = 0;
    const stop = await tellServiceManager(
      { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '60000', WATCHDOG_PID: String(process.pid) },
      async () => {
        asked += 1;
        return isWell;
      },
      silentLogger,
    );
    expect(await told()).toEqual(['READY=1 STATUS=ready']);
    await waitFor(async () => (await told()).length > 3, 'the watchdog to be fed');
    isWell = false;
    const askedBefore = asked;
    await waitFor(() => asked > askedBefore + 2, 'questions how it is');
    const before = await told();
    const askedThen = asked;
    await waitFor(() => asked > askedThen + 2, 'more questions');
    expect(await told()).toEqual(before);
    await stop();
    expect(new Set(await told())).toEqual(new Set(['READY=1 STATUS=ready', 'WATCHDOG=1', 'STOPPING=1']));
  });

  it('is not fed for another process', async () => {
    const env = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '3000', WATCHDOG_PID: '1' };
    const stop = await tellServiceManager(env, async () => expect.unreachable(), silentLogger);
    await stop();
    expect(await told()).toEqual(['READY=1 STATUS=ready', 'STOPPING=1']);
  });
});

const unit = join(import.meta.dirname, '../../../packaging/systemd/mqtt2go.service');
const hasSystemd = await run('systemd-analyze', ['--version']).then(
  () => true,
  () => false,
);

describe.skipIf(!hasSystemd)('the unit of the service', () => {
  it('is one that systemd finds nothing wrong with', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-unit-'));
    try {
      // The program that it starts is there once it is installed.
      const text = (await readFile(unit, 'utf8')).replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true');
      await writeFile(join(folder, 'mqtt2go.service'), text);
      const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', join(folder, 'mqtt2go.service')]);
      expect(`${stdout}${stderr}`).not.toContain('mqtt2go');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('leaves the gateway little to do harm with', async () => {
    const { stdout } = await run('systemd-analyze', ['security', '--offline=yes', '--no-pager', unit]);
    const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1];
    expect(Number(exposure)).toBeLessThan(2.5);
  });
});
