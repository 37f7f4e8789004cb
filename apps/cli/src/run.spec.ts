import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { running } from './stand-in/running.js';

describe('the command line', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-cli-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('helps, with examples and exit codes, within 80 columns', async () => {
    const commands = ['', 'demo', 'factory', 'factory mint', 'factory import', 'controller', 'controller credentials'];
    for (const command of [
      ...commands,
      'home move',
      'home status',
      'audit list',
      'audit verify',
      'audit checkpoint',
      'controller add',
      'device',
      'device run',
      'device show',
      'device fleet',
    ]) {
      const { code, out, err } = await running([...command.split(' ').filter(Boolean), '--help']);
      expect({ command, code, err }).toEqual({ command, code: 0, err: '' });
      expect(out).toContain('Usage: mqtt2go');
      expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
    }
    expect((await running(['--help'])).out).toMatch(/Examples:[\s\S]*Exit codes:/);
  });

  it.each([
    ['nothing to do', []],
    ['a command that is none', ['fly']],
    ['an option that is none', ['demo', '--fast']],
    ['an option that is missing', ['factory', 'mint', '--device-id', 'a']],
    [
      'an id that would widen a topic',
      ['factory', 'mint', '--device-id', 'a/b', '--device-type', 'socket', '--out', 'x'],
    ],
    [
      'a key mode that is none',
      ['factory', 'mint', '--device-id', 'a', '--device-type', 'b', '--out', 'x', '--key-mode', 'y'],
    ],
    ['a number that is none', ['device', 'fleet', 'many']],
    ['a label that is none', ['controller', 'add', '--label', 'https://example.org']],
    ['neither code nor label', ['controller', 'add', '--device-id', 'a']],
  ])('ends with 2 and says why: %s', async (_what, args) => {
    const { code, out, err } = await running(args);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).not.toBe('');
  });

  it('ends with 69 and says what to do when no platform runs', async () => {
    const args = ['factory', 'mint', '--device-id', 'a', '--device-type', 'socket', '--out', join(folder, 'a')];
    const { code, err } = await running([...args, '--data', folder]);
    expect(code).toBe(69);
    expect(err).toMatch(/^mqtt2go: unavailable: No platform runs .*npm start.*\n$/);
  });

  it('ends with 1 and says what is wrong with the files it was given', async () => {
    expect(await running(['device', 'run', folder])).toMatchObject({
      code: 1,
      err: expect.stringContaining('device.json'),
    });
    const add = ['controller', 'add', '--device-id', 'a', '--code', 'b', '--credentials', folder];
    expect(await running(add)).toMatchObject({ code: 1, err: expect.stringContaining('controller credentials') });
    const file = join(folder, 'records.txt');
    await writeFile(file, '');
    expect(await running(['factory', 'import', file])).toMatchObject({ code: 1, err: expect.stringContaining('.csv') });
  });

  it('tells an error as JSON to those who asked for JSON', async () => {
    const { out } = await running(['device', 'run', folder, '--json']);
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'configuration_invalid' } });
  });
});
