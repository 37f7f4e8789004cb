#!/usr/bin/env node
/**
 * Writes the generated documents anew. The tests that compare a document with what it is generated from write it
 * instead of comparing when UPDATE_DOCS=1; this runs those tests.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const specs = ['apps', 'libs', 'plugins'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.spec.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file, 'utf8').includes('UPDATE_DOCS')),
);
if (specs.length === 0) {
  process.stderr.write('There is no test that knows UPDATE_DOCS.\n');
  process.exit(1);
}
const { status } = spawnSync(process.execPath, ['tools/test.mjs', ...specs.map((file) => relative(root, file))], {
  cwd: root,
  env: { ...process.env, UPDATE_DOCS: '1' },
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
