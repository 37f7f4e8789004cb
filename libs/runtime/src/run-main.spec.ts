import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitForEvent } from '@mqtt2go/testing';
import { build } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Programs whose ends are looked at from outside, as a person or a container would see them. */
const programs = {
  runs: `runMain('thing', async () => { console.log('ready'); setInterval(() => {}, 1000);
    return { stop: async () => console.log('stopped') }; });`,
  refuses: `runMain('thing', async () => { throw new Mqtt2goError('configuration_invalid', 'A is wrong\\nB is wrong'); });`,
  breaks: `runMain('thing', async () => { throw new TypeError('oops'); });`,
  breaksLater: `runMain('thing', async () => { setTimeout(() => Promise.reject(new RangeError('later')), 1);
    setInterval(() => {}, 1000); return { stop: async () => {} }; });`,
  hangs: `runMain('thing', async () => { console.log('ready'); setInterval(() => {}, 1000);
    return { stop: () => { console.log('stopping'); return new Promise(() => {}); } }; });`,
  neverStarts: `runMain('thing', async () => { console.log('ready'); setInterval(() => {}, 1000);
    return new Promise(() => {}); });`,
  slowStart: `runMain('thing', async () => { console.log('ready'); setInterval(() => {}, 1000);
    await new Promise((resolve) => process.once('SIGTERM', () => setImmediate(resolve)));
    return { stop: async () => console.log('stopped') }; });`,
};

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mqtt2go-run-main-'));
  const source = fileURLToPath(new URL('.', import.meta.url));
  for (const [name, text] of Object.entries(programs)) {
    const imports = `import { Mqtt2goError } from '@mqtt2go/protocol';\nimport { runMain } from '${source}run-main.ts';\n`;
    await writeFile(join(folder, `${name}.ts`), `${imports}${text}\nvoid Mqtt2goError;`);
  }
  await build({
    cwd: source,
    input: Object.fromEntries(Object.keys(programs).map((name) => [name, join(folder, `${name}.ts`)])),
    platform: 'node',
    resolve: {
      conditionNames: ['@mqtt2go/source', 'node', 'default'],
      modules: [join(source, '../../../node_modules')],
    },
    output: { dir: folder, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: 'chunk-[name].mjs' },
    logLevel: 'silent',
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; out: string; err: string }>;
  says(word: string): Promise<unknown>;
}

function run(name: keyof typeof programs): Run {
  const child = spawn(process.execPath, [join(folder, `${name}.mjs`)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
    child.emit('said');
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const ended = waitForEvent<[number | null]>(child, 'close').then(([code]) => ({ code, out, err }));
  return {
    child,
    ended,
    says: (word) => (out.includes(word) ? Promise.resolve() : waitForEvent(child, 'said', () => out.includes(word))),
  };
}

describe('runMain', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('stops in order on %s and ends with 0', async (signal) => {
    const { child, ended, says } = run('runs');
    await says('ready');
    child.kill(signal);
    expect(await ended).toEqual({ code: 0, out: 'ready\nstopped\n', err: '' });
  });

  it('tells on one line each what was wrong, and ends with 1', async () => {
    expect(await run('refuses').ended).toEqual({ code: 1, out: '', err: 'thing: A is wrong\nthing: B is wrong\n' });
  });

  it('shows the stack of a defect and ends with 70', async () => {
    const { code, err } = await run('breaks').ended;
    expect(code).toBe(70);
    expect(err).toMatch(/^thing: something unexpected went wrong\nTypeError: oops\n {4}at /);
    expect((await run('breaksLater').ended).code).toBe(70);
  });

  it('ends at once on a second signal', async () => {
    const { child, ended, says } = run('hangs');
    await says('ready');
    child.kill('SIGINT');
    await says('stopping');
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
  });

  it('stops what was still starting when the signal came', async () => {
    const { child, ended, says } = run('slowStart');
    await says('ready');
    child.kill('SIGTERM');
    expect(await ended).toEqual({ code: 0, out: 'ready\nstopped\n', err: '' });
  });

  it('leaves a start that does not come to an end', async () => {
    const { child, ended, says } = run('neverStarts');
    await says('ready');
    child.kill('SIGTERM');
    expect(await ended).toEqual({ code: 143, out: 'ready\n', err: '' });
  });
});
