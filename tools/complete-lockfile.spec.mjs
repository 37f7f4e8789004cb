import { describe, expect, it } from 'vitest';
import { completeLockfile } from './complete-lockfile.mjs';

const lockOf = (packages) => ({ packages });

describe('completing the lockfile', () => {
  it('adds what npm left out, for the platform in its name', () => {
    const lock = lockOf({
      'node_modules/tool': {
        dev: true,
        optionalDependencies: { '@tool/linux-arm64-musl': '1.2.3', 'tool-win32-x64': '1.2.3' },
      },
      'node_modules/tool-win32-x64': { version: '1.2.3' },
    });
    expect(completeLockfile(lock)).toEqual(['@tool/linux-arm64-musl']);
    expect(lock.packages['node_modules/@tool/linux-arm64-musl']).toEqual({
      version: '1.2.3',
      cpu: ['arm64'],
      dev: true,
      libc: ['musl'],
      optional: true,
      os: ['linux'],
    });
    expect(completeLockfile(lock)).toEqual([]);
  });

  it('finds a package in the folders above, as Node.js does', () => {
    const lock = lockOf({
      'node_modules/a/node_modules/b': { optionalDependencies: { 'c-linux-x64': '1.0.0' } },
      'node_modules/a/node_modules/c-linux-x64': { version: '1.0.0' },
    });
    expect(completeLockfile(lock)).toEqual([]);
  });

  it('refuses to guess a platform or a version', () => {
    const wanting = (name, version) => lockOf({ 'node_modules/a': { optionalDependencies: { [name]: version } } });
    expect(() => completeLockfile(wanting('fsevents', '2.3.3'))).toThrow('by hand');
    expect(() => completeLockfile(wanting('a-linux-x64', '^2.0.0'))).toThrow('exact');
  });
});
