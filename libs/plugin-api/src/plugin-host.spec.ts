import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FakeClock } from '@mqtt2go/ports';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import * as fixtures from './test-support/plugins.js';
import { isPluginClass, type PluginClass, pluginApiVersion, pluginFactsOf } from './plugin.js';
import { type LoadPluginsOptions, loadPlugins, type PluginLog } from './plugin-host.js';
import { RevisionWire } from './revision-wire.js';

const {
  ConstructorThrows,
  events,
  FalseWire,
  ModuleHangs,
  OfTheFuture,
  Overlapping,
  PluginA,
  PluginB,
  ProviderThrows,
  Quiet,
  Rangeless,
  RejectsLate,
  rejectNow,
  SameRevision,
  StartHangs,
  StartRejects,
  StartThrows,
  StopHangs,
  StopRejects,
  Timed,
  ThrowsNothing,
  WithoutWire,
} = fixtures;

type ImportModule = (specifier: string) => Promise<unknown>;

const log = { info: vi.fn<PluginLog['info']>(), error: vi.fn<PluginLog['error']>() };

async function load(plugins: Record<string, PluginClass>, options: Partial<LoadPluginsOptions> = {}) {
  const host = await loadPlugins({ names: Object.keys(plugins), builtIn: plugins, log, ...options });
  onTestFinished(() => host.stop());
  return host;
}

beforeEach(() => {
  events.length = 0;
  log.info.mockClear();
  log.error.mockClear();
});

describe('loading', () => {
  it('gives a plugin that asks for it the clock of the platform', async () => {
    const clock = new FakeClock(Date.UTC(2031, 0, 1));
    const host = await load({ Timed }, { clock });
    await host.start();
    expect(host.failed).toEqual([]);
    expect(events).toEqual([`it is ${Date.UTC(2031, 0, 1)}`]);
  });

  it('takes built-in plugins by name, from a record or a map, eager or lazy', async () => {
    const host = await loadPlugins({
      names: ['a', 'lazy'],
      builtIn: new Map<string, PluginClass | (() => Promise<PluginClass>)>([
        ['a', PluginA],
        ['lazy', () => Promise.resolve(Quiet)],
        ['not-asked-for', PluginB],
      ]),
      log,
    });
    expect(host.loaded.map(({ name }) => name)).toEqual(['revision-a', 'quiet']);
    expect(host.failed).toEqual([]);
    expect(host.revisions.wires.map(({ revision }) => revision)).toEqual(['a']);
    expect(host.health()).toEqual({
      healthy: true,
      loaded: [
        { name: 'revision-a', kind: 'revision', api: '^1.0.0' },
        { name: 'quiet', kind: 'notifier', api: '>=1.0.0 <2' },
      ],
      failed: [],
    });
    expect(host.ofKind('notifier').map(({ name }) => name)).toEqual(['quiet']);
  });

  it('starts nothing by itself', async () => {
    await load({ PluginA, PluginB });
    expect(events).toEqual([]);
  });

  it.each<[string, Record<string, PluginClass>, string, RegExp]>([
    ['one for another version of the contract', { OfTheFuture }, 'plugin_incompatible', /\^2\.0\.0.*this is 1\.3\.0/],
    ['one with no range', { Rangeless }, 'plugin_incompatible', /whatever/],
    ['one whose constructor throws', { ConstructorThrows }, 'plugin_failed', /I do things in constructors/],
    ['one whose provider throws', { ProviderThrows }, 'plugin_failed', /so do I/],
    ['one whose module never stands', { ModuleHangs }, 'plugin_failed', /more than 30 ms/],
    ['a revision without a wire', { WithoutWire }, 'plugin_failed', /provides no RevisionWire/],
    ['a revision with a wire that is none', { FalseWire }, 'plugin_failed', /is none/],
  ])('leaves out %s, says so, and goes on', async (_, broken, code, reason) => {
    const host = await load({ ...broken, PluginA }, { limits: { startMs: 30 } });
    const [name = ''] = Object.keys(broken);
    expect(host.loaded.map((one) => one.name)).toEqual(['revision-a']);
    expect(host.failed).toHaveLength(1);
    expect(host.failed[0]?.error.code).toBe(code);
    expect(host.failed[0]?.error.message).toMatch(reason);
    expect(host.health()).toMatchObject({ healthy: false, failed: [{ name, code }] });
    expect(log.error).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ plugin: name, code }),
      expect.stringMatching(new RegExp(`^The plugin ${name} is left out: .+$`)),
    );
  });

  it('refuses a kind that it does not know, and a name that is none', async () => {
    const withFacts = (value: object): PluginClass => {
      class Hostile {}
      Object.defineProperty(Hostile, Symbol.for('mqtt2go.plugin'), { value });
      return Hostile;
    };
    const host = await load({
      kind: withFacts({ name: 'x', kind: 'virus', api: '^1.0.0' }),
      name: withFacts({ name: '../x', kind: 'notifier', api: '^1.0.0' }),
      nothing: withFacts({}),
    });
    expect(host.failed.map(({ error }) => error.code)).toEqual([
      'plugin_incompatible',
      'plugin_failed',
      'plugin_failed',
    ]);
  });

  it('refuses the second of two alike', async () => {
    const host = await loadPlugins({
      names: ['one', 'one', 'two', 'three', 'four'],
      builtIn: { one: PluginA, two: PluginA, three: SameRevision, four: Overlapping },
      log,
    });
    expect(host.loaded.map(({ name }) => name)).toEqual(['revision-a']);
    expect(host.failed.map(({ name, error }) => [name, error.message])).toEqual([
      ['one', expect.stringContaining('named twice')],
      ['two', expect.stringContaining('called revision-a already')],
      ['three', expect.stringContaining('spoken by another plugin')],
      ['four', expect.stringContaining('overlaps with a/+/in')],
    ]);
    expect(host.revisions.wires.map(({ revision }) => revision)).toEqual(['a']);
  });
});

describe('where plugins come from', () => {
  it.each([
    'https://example.com/plugin.mjs',
    'http://example.com/plugin.mjs',
    'data:text/javascript,export{}',
    'file:///etc/passwd',
    'node:fs',
    'npm:left-pad',
    'HTTPS://EXAMPLE.COM',
    '//example.com/plugin.mjs',
    '\\\\server\\share\\plugin.mjs',
    'left pad',
    '',
    '__proto__',
    'a/../../b',
  ])('imports nothing for the name %j', async (name) => {
    const importModule = vi.fn<ImportModule>(() => Promise.resolve({ PluginA }));
    const host = await loadPlugins({ names: [name], builtIn: {}, importModule, log });
    expect(host.loaded).toEqual([]);
    expect(host.failed[0]?.error.code).toBe('plugin_failed');
    expect(importModule).not.toHaveBeenCalled();
  });

  it.each([
    ['mqtt2go-plugin-x', 'mqtt2go-plugin-x'],
    ['@someone/plugin-x', '@someone/plugin-x'],
    ['@someone/plugin-x/sub', '@someone/plugin-x/sub'],
    ['./plugins/x.mjs', pathToFileURL('/srv/home/plugins/x.mjs').href],
    ['../x.mjs', pathToFileURL('/srv/x.mjs').href],
    ['/opt/x.mjs', pathToFileURL('/opt/x.mjs').href],
  ])('imports %s as %s', async (name, specifier) => {
    const importModule = vi.fn<ImportModule>(() => Promise.resolve({ PluginA, again: PluginA, other: 5 }));
    const host = await loadPlugins({ names: [name], builtIn: {}, importModule, log, baseDir: '/srv/home' });
    expect(importModule).toHaveBeenCalledExactlyOnceWith(specifier);
    expect(host.loaded.map((one) => one.name)).toEqual(['revision-a']);
    await host.stop();
  });

  it.each<[string, unknown]>([
    ['no plugin', { Date }],
    ['two plugins', { PluginA, PluginB }],
    ['nothing', undefined],
  ])('leaves out a module that exports %s', async (_, module) => {
    const importModule = (): Promise<unknown> => Promise.resolve(module);
    const host = await loadPlugins({ names: ['x'], builtIn: {}, importModule, log });
    expect(host.failed[0]?.error.message).toMatch(/It exports/);
  });

  it('leaves out a module that cannot be imported, or is not there', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'mqtt2go-plugins-'));
    onTestFinished(() => rm(dir, { recursive: true }));
    await writeFile(join(dir, 'broken.mjs'), 'throw new Error("broken at import")');
    const host = await loadPlugins({
      names: ['./broken.mjs', './absent.mjs', 'mqtt2go-plugin-that-is-not-installed'],
      builtIn: {},
      log,
      baseDir: dir,
    });
    expect(host.failed.map(({ name }) => name)).toEqual([
      './broken.mjs',
      './absent.mjs',
      'mqtt2go-plugin-that-is-not-installed',
    ]);
    expect(host.failed[0]?.error.message).toMatch(/broken at import/);
  });
});

describe('start and stop', () => {
  it('go through all in order, and back', async () => {
    const host = await load({ PluginA, Quiet, PluginB });
    await host.start();
    await host.start();
    await host.stop();
    await host.stop();
    expect(events).toEqual(['a starts', 'b starts', 'b stops', 'a stops']);
    expect(host.loaded).toEqual([]);
    expect(host.revisions.wires).toEqual([]);
  });

  it('do not stop what never started', async () => {
    const host = await load({ PluginA });
    await host.stop();
    expect(events).toEqual([]);
  });

  it.each<[string, Record<string, PluginClass>, RegExp]>([
    ['throws', { StartThrows }, /not today/],
    ['rejects', { StartRejects }, /not today either/],
    ['rejects with nothing', { ThrowsNothing }, /something that is no error/],
    ['never ends', { StartHangs }, /more than 30 ms/],
  ])('a plugin whose start %s is left out with its wire, the others go on', async (_, broken, reason) => {
    const host = await load({ ...broken, PluginA }, { limits: { startMs: 30 } });
    await host.start();
    expect(host.loaded.map(({ name }) => name)).toEqual(['revision-a']);
    expect(host.failed).toHaveLength(1);
    expect(host.failed[0]?.error.code).toBe('plugin_failed');
    expect(host.failed[0]?.error.message).toMatch(reason);
    expect(host.revisions.wires.map(({ revision }) => revision)).toEqual(['a']);
    expect(events).toContain('a starts');
  });

  it('a start that failed half-way is stopped', async () => {
    const host = await load({ StartHangs }, { limits: { startMs: 30 } });
    await host.start();
    expect(events).toEqual(['start-hangs stops']);
  });

  it('a rejection that comes too late ends nothing', async () => {
    const unhandled = vi.fn<(reason: unknown) => void>();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const host = await load({ RejectsLate }, { limits: { startMs: 30 } });
    await host.start();
    expect(host.failed).toHaveLength(1);
    rejectNow();
    // Node tells of unhandled rejections after the microtasks, before the next round of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('a stop that rejects or never ends holds up nobody', async () => {
    const host = await load({ PluginA, StopRejects, StopHangs }, { limits: { stopMs: 30 } });
    await host.start();
    await host.stop();
    expect(events).toEqual(['a starts', 'a stops']);
    expect(log.error.mock.calls.map(([, message]: unknown[]) => message)).toEqual([
      'plugin stop-hangs did not stop cleanly',
      'plugin stop-rejects did not stop cleanly',
    ]);
  });
});

describe('the decorator', () => {
  it('makes classes plugins, and only those that carry it', () => {
    expect(isPluginClass(PluginA)).toBe(true);
    expect(pluginFactsOf(Quiet)).toMatchObject({ name: 'quiet', kind: 'notifier', api: '>=1.0.0 <2' });
    expect(isPluginClass(class extends PluginA {})).toBe(false);
    expect(isPluginClass({})).toBe(false);
    expect(isPluginClass(RevisionWire)).toBe(false);
    expect(pluginApiVersion).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
