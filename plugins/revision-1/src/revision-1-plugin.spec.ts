import { loadPlugins } from '@mqtt2go/plugin-api';
import { expect, it, onTestFinished } from 'vitest';
import { Revision1Plugin } from './revision-1-plugin.js';
import { Revision1Wire } from './revision-1-wire.js';

it('brings its wire to whoever loads it', async () => {
  const log = { info: () => undefined, error: () => undefined };
  const host = await loadPlugins({ names: ['revision-1'], builtIn: { 'revision-1': Revision1Plugin }, log });
  onTestFinished(() => host.stop());
  await host.start();
  expect(host.failed).toEqual([]);
  expect(host.revisions.get('1.0')).toBeInstanceOf(Revision1Wire);
  expect(host.revisions.homeFilters).toEqual([
    '+/+/add_device',
    '/+/+/add_device',
    '+/topics',
    '/+/topics',
    '+/topic',
    '/+/topic',
  ]);
  expect(host.revisions.activationFilters).toEqual(['+/activation', '/+/activation', '+/wifi', '/+/wifi']);
});
