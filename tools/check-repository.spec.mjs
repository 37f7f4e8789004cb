import { describe, expect, it } from 'vitest';
import { findForbidden } from './check-repository.mjs';

/** Put together here, so that the check of the repository does not find them in this file. */
const bad = [
  ['src/a.ts', ['const a = b as', 'any;'].join(' ')],
  ['src/a.spec.ts', ['it.', "only('x')"].join('')],
  ['src/a.ts', ['// TO', 'DO later'].join('')],
  ['src/a.ts', ['// eslint-', 'disable'].join('')],
  ['src/a.ts', ['synchronize: ', 'true'].join('')],
  ['docs/a.md', ['see /ro', 'ot/x'].join('')],
  ['package-lock.json', '"resolved": "https://registry.example/a.tgz",'],
];
const good = [
  ['src/a.ts', '/** As long as any identifier; a message, as any. */'],
  ['src/a.ts', "const topic = '/devices/work/x'; // todos"],
  ['package-lock.json', '"resolved": "libs/protocol",'],
];

describe('the check of the repository', () => {
  it.each(bad)('finds in %s: %s', (file, line) => {
    expect(findForbidden(file, `fine\n${line}\n`)).toHaveLength(1);
    expect(findForbidden(file, `fine\n${line}\n`)[0]).toContain(`${file}:2`);
  });

  it.each(good)('lets be in %s: %s', (file, line) => {
    expect(findForbidden(file, line)).toEqual([]);
  });
});
