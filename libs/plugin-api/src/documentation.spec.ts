import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { pluginApiVersion, pluginKinds } from './plugin.js';
import { loadPlugins } from './plugin-host.js';

const page = new URL('../../../docs/plugins.md', import.meta.url);
const source = new URL('./test-support/example-plugin.ts', import.meta.url);
const log = { info: () => undefined, error: () => undefined };

describe('docs/plugins.md', () => {
  let text: string;
  beforeAll(async () => {
    text = await readFile(page, 'utf8');
  });

  it('shows the plugin that is tried here (UPDATE_DOCS=1 writes it anew)', async () => {
    const example = await readFile(source, 'utf8');
    const filled = text.replace(
      /(<!-- begin:example -->\n)[\s\S]*(<!-- end:example -->)/,
      (_, begin: string, end: string) => `${begin}\`\`\`ts\n${example}\`\`\`\n${end}`,
    );
    if (env['UPDATE_DOCS'] === '1') await writeFile(page, filled);
    expect(await readFile(page, 'utf8')).toBe(filled);
    expect(filled).toContain(example);
  });

  it('names the version of the contract and all kinds', () => {
    expect(text).toContain(`version ${pluginApiVersion}`);
    for (const kind of pluginKinds) expect(text).toContain(`\`${kind}\``);
  });
});

it('the example, bundled with copies of all it uses, is loaded from a path and reads and writes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mqtt2go-example-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const build = await rolldown({
    input: fileURLToPath(source),
    platform: 'node',
    tsconfig: true,
    resolve: { conditionNames: ['@mqtt2go/source', 'node', 'default'] },
    external: [/^@nestjs\/(websockets|microservices|platform-express)/, 'class-transformer', 'class-validator'],
    logLevel: 'silent',
  });
  await build.write({ file: join(folder, 'text-wire.mjs'), format: 'esm' });
  await build.close();

  const host = await loadPlugins({ names: ['./text-wire.mjs'], builtIn: {}, log, baseDir: folder });
  onTestFinished(() => host.stop());
  expect(host.failed).toEqual([]);
  await host.start();
  expect(host.loaded).toEqual([{ name: 'text-wire', kind: 'revision', api: '^1.0.0' }]);

  const wire = host.revisions.get('text-1');
  const read = (line: string) => host.revisions.readHome('text/home/gw/in', new TextEncoder().encode(line));
  const reply = { revision: 'text-1', topic: 'text/home/gw/out' };
  expect(read('add code-1 dev-1')).toEqual({
    outcome: 'message',
    message: {
      kind: 'activate-device',
      homeId: 'home',
      gatewayId: 'gw',
      activationCode: 'code-1',
      deviceId: 'dev-1',
      reply,
    },
  });
  expect(read('add')).toMatchObject({ outcome: 'refused', error: { code: 'malformed_message' }, reply });
  expect(read('add a/b dev')).toMatchObject({ outcome: 'refused', error: { code: 'invalid_identifier' }, reply });
  expect(wire.write({ kind: 'command-done', command: 'activate-device' }, reply, 0)).toEqual({
    topic: 'text/home/gw/out',
    payload: '1970-01-01T00:00:00.000Z command-done',
  });
});
