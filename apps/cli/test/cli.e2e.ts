import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const launcher = fileURLToPath(new URL('../bin/mqtt2go.mjs', import.meta.url));

/** The command as a person runs it: a process of its own, in a folder where nothing is. */
describe('mqtt2go', () => {
  let folder: string;
  let children: ChildProcess[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-e2e-'));
    children = [];
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  function run(...args: string[]) {
    const { MQTT2GO_DATA_DIR: _data, ...env } = process.env;
    const child = spawn(process.execPath, [launcher, ...args], { cwd: folder, env: { ...env, TMPDIR: folder } });
    children.push(child);
    const said = { out: '', err: '' };
    child.stdout.on('data', (chunk) => {
      said.out += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      said.err += String(chunk);
    });
    const ended = once(child, 'close').then(([code]) => ({ code: Number(code), ...said }));
    return { child, ended };
  }

  it('ends with 2 for a wrong option, and says so on stderr', async () => {
    const { code, out, err } = await run('device', 'run').ended;
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain("missing required argument 'dir'");
  });

  it.each(['existing-key', 'csr', 'server-key'])(
    'tells the whole story on a platform of its own (%s)',
    async (mode) => {
      const { code, out, err } = await run('demo', '--json', '--key-mode', mode).ended;
      expect({ code, err }).toMatchObject({ code: 0 });
      const events = out
        .trim()
        .split('\n')
        .map((line): { event: string; step?: number } => JSON.parse(line));
      const steps = events.filter(({ event }) => event === 'step').map(({ step }) => step);
      expect(steps).toEqual(Array.from({ length: 13 }, (_unused, at) => at + 1));
      expect(events.at(-1)).toMatchObject({ event: 'done', answer: 'ok', state: { state: 'on' } });
      expect(out).not.toContain('-----BEGIN');
      expect((await readdir(folder)).filter((name) => name.startsWith('mqtt2go-demo-'))).toEqual([]);
    },
  );

  it('takes its platform down when the story is interrupted', async () => {
    const { child, ended } = run('demo');
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 130 });
    expect((await readdir(folder)).filter((name) => name.startsWith('mqtt2go-demo-'))).toEqual([]);
  });
});
