import { loadPlugins } from '@mqtt2go/plugin-api';
import { expect, it, onTestFinished, vi } from 'vitest';
import { HostapdNetworkJoin } from './hostapd-network-join.js';
import { NetworkJoinHostapdPlugin } from './hostapd-plugin.js';

it('brings its way into the network to whoever loads it, be hostapd there or not', async () => {
  vi.stubEnv('MQTT2GO_HOSTAPD_CLI', '/nonexistent/hostapd_cli');
  const log = { info: () => undefined, error: () => undefined };
  const host = await loadPlugins({ names: ['join'], builtIn: { join: NetworkJoinHostapdPlugin }, log });
  onTestFinished(() => host.stop());
  await host.start();
  expect(host.failed).toEqual([]);
  expect(host.ofKind('network-join')[0]?.networkJoin()).toBeInstanceOf(HostapdNetworkJoin);
});
