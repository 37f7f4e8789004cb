import { loadPlugins } from '@mqtt2go/plugin-api';
import { expect, it, onTestFinished } from 'vitest';
import { ManualNetworkJoin } from './manual-network-join.js';
import { NetworkJoinManualPlugin } from './manual-plugin.js';

it('brings its way into the network to whoever loads it', async () => {
  const log = { info: () => undefined, error: () => undefined };
  const host = await loadPlugins({ names: ['join'], builtIn: { join: NetworkJoinManualPlugin }, log });
  onTestFinished(() => host.stop());
  await host.start();
  expect(host.failed).toEqual([]);
  const [plugin] = host.ofKind('network-join');
  const join = plugin?.networkJoin();
  expect(join).toBeInstanceOf(ManualNetworkJoin);
  const answer = await join?.open({ activationId: 'act-1', method: 'manual', deadline: Date.now() + 60_000 });
  expect(answer?.instructions).toMatch(/Wi-Fi/);
});
