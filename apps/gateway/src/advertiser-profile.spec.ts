import { remoteBroker } from '@mqtt2go/config';
import { FakeBrokerAdvertiser, FakeHouseNetwork, FloorClock } from '@mqtt2go/ports';
import { silentLogger } from '@mqtt2go/testing';
import { loadPlugins } from '@mqtt2go/plugin-api';
import { Revision1Plugin } from '@mqtt2go/revision-1';
import { describe, expect, it, onTestFinished } from 'vitest';
import { chooseAdvertiser } from './advertiser-profile.js';
import { gatewayHandle } from './gateway-handle.js';

const local = { ...remoteBroker, homeBroker: 'local' as const };
const mdns = { isOn: true, interfaces: undefined };

describe('a platform', () => {
  it('is told in the house when it is a gateway there', async () => {
    const advertiser = await chooseAdvertiser({ profile: local, bind: '127.0.0.1', mdns }, silentLogger);
    expect(advertiser?.state).toEqual({ kind: 'off', reason: 'not started' });
  });

  it.each([
    ['in the cloud', { profile: remoteBroker, mdns }],
    ['that is told not to', { profile: local, mdns: { ...mdns, isOn: false } }],
  ])('%s is not', async (_what, config) => {
    expect(await chooseAdvertiser({ bind: '0.0.0.0', ...config }, silentLogger)).toBeUndefined();
  });

  it('that listens on this machine only tells nobody, and says why', async () => {
    const advertiser = await chooseAdvertiser({ profile: local, bind: '127.0.0.1', mdns }, silentLogger);
    const told = new Promise((resolve) => {
      advertiser?.onChange((state) => {
        if (state.kind === 'off') resolve(state);
      });
    });
    await advertiser?.start(8883);
    expect(await told).toEqual({ kind: 'off', reason: expect.stringContaining('MQTT2GO_BIND') });
    await advertiser?.stop();
  });
});

describe('another gateway in the house', () => {
  async function gateway(network: FakeHouseNetwork) {
    const plugins = await loadPlugins({
      names: ['revision-1'],
      builtIn: { 'revision-1': Revision1Plugin },
      log: silentLogger,
    });
    await plugins.start();
    onTestFinished(() => plugins.stop());
    const advertiser = new FakeBrokerAdvertiser(network);
    const handle = gatewayHandle(
      { stats: () => [] },
      plugins,
      new FloorClock({ builtAtMs: 0, isSynchronised: async () => true }),
      advertiser,
    );
    await advertiser.start(8883);
    return { advertiser, handle };
  }

  it('degrades both, is counted, and is over when it goes', async () => {
    const network = new FakeHouseNetwork();
    const first = await gateway(network);
    expect(await first.handle.health()).toMatchObject({ status: 'up' });
    expect(await first.handle.metrics()).toMatch(/mqtt2go_other_gateways\{.*\} 0/);
    const second = await gateway(network);
    for (const { handle } of [first, second]) {
      const { status, dependencies } = await handle.health();
      expect(status).toBe('degraded');
      expect(dependencies.at(-1)).toMatchObject({
        name: 'MQTT2GO.local',
        status: 'down',
        reason: expect.stringContaining('192.0.2.'),
      });
      expect(await handle.metrics()).toMatch(/mqtt2go_other_gateways\{.*\} 1/);
    }
    expect(await first.handle.metrics()).toMatch(/mqtt2go_local_name\{state="advertised".*\} 1/);
    expect(await second.handle.metrics()).toMatch(/mqtt2go_local_name\{state="name-taken".*\} 1/);
    await first.advertiser.stop();
    expect(await second.handle.health()).toMatchObject({ status: 'up' });
    expect(await second.handle.metrics()).toMatch(/mqtt2go_local_name\{state="advertised".*\} 1/);
  });
});
