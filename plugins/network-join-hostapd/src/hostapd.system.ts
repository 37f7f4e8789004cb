import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { networkJoinContract } from '@mqtt2go/ports/testing';
import { waitFor } from '@mqtt2go/testing';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostapdNetworkJoin } from './hostapd-network-join.js';
import { buildHostapdImage, HostapdStage } from './test-support/hostapd-stage.js';

let stage: HostapdStage;

beforeAll(async () => {
  await buildHostapdImage();
  stage = await HostapdStage.start();
});
afterAll(() => stage.close());

networkJoinContract('HostapdNetworkJoin', async () => ({
  process: (clock) => new HostapdNetworkJoin(stage.env, { clock, tickMs: 50 }),
  openIn: () => stage.openIn(),
  close: async () => undefined,
}));

const request = (method: 'wps' | 'guest') => ({ activationId: 'act-1', method, deadline: Date.now() + 600_000 });

describe('hostapd itself', () => {
  it('has the guest network as it was told, beside the home’s own, and no file with its password stays', async () => {
    const join = new HostapdNetworkJoin(stage.env);
    await join.start();
    await join.open(request('guest'));
    const guests = await stage.ask('guest0', 'GET_CONFIG');
    expect(guests).toContain('ssid=MQTT2GO\n');
    // It tells no password without WPS, and takes no such network without one.
    expect(guests).toContain('wpa=2\nkey_mgmt=WPA-PSK SAE\n');
    expect(await stage.files()).toEqual([]);
    expect(await stage.ask('lo', 'GET_CONFIG')).toContain('ssid=Home\n');
    await join.close('act-1');
    expect(await stage.ask('lo', 'STATUS')).toContain('state=ENABLED');
    await join.stop();
  });

  it('has no guest network soon after the process was killed that opened it', async () => {
    const build = await rolldown({
      input: fileURLToPath(new URL('./test-support/opening-process.ts', import.meta.url)),
      platform: 'node',
      resolve: { conditionNames: ['@mqtt2go/source', 'node', 'default'] },
      logLevel: 'silent',
    });
    const program = stage.file('opening-process.mjs');
    await build.write({ file: program, format: 'esm' });
    await build.close();
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, ...stage.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
    expect(await stage.openIn()).toEqual(['guest']);
    child.kill('SIGKILL');
    await waitFor(async () => (await stage.openIn()).length === 0, 'the guest network is gone');
  });

  it('keeps the network of the next activation, whatever watched over the one before', async () => {
    const join = new HostapdNetworkJoin(stage.env);
    await join.start();
    for (const activationId of ['act-1', 'act-2', 'act-3']) {
      await join.open({ ...request('guest'), activationId });
      if (activationId !== 'act-3') await join.close(activationId);
    }
    // As long as the one before would need at least, were it still there.
    for (let asked = 0; asked < 5; asked += 1) expect(await stage.openIn()).toEqual(['guest']);
    await join.stop();
    expect(await stage.openIn()).toEqual([]);
  });

  it('ends what was open when it goes away, and takes the next activation when it is back', async () => {
    const join = new HostapdNetworkJoin(stage.env, { tickMs: 50 });
    await join.start();
    await join.open(request('guest'));
    const closed = new Promise((resolve) => {
      join.onEvent((event) => resolve(event));
    });
    await stage.container.kill();
    expect(await closed).toEqual({ activationId: 'act-1', kind: 'closed', because: 'lost' });
    await expect(join.open(request('wps'))).rejects.toMatchObject({ code: 'unavailable' });
    await stage.container.start();
    await waitFor(async () => (await stage.ask('lo', 'PING')).includes('PONG'), 'hostapd is back');
    expect(await stage.openIn()).toEqual([]);
    await join.open(request('wps'));
    expect(await stage.openIn()).toEqual(['wps']);
    await join.stop();
  });
});
