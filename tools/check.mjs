#!/usr/bin/env node
/**
 * All that is checked before a commit, one after the other; each step's output is shown if it fails.
 *
 *   node tools/check.mjs [--no-tests]
 */
import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, 'node_modules', '.bin');
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
if (env.CI !== undefined && env.FORCE_COLOR === undefined) env.NO_COLOR ??= '1';

const steps = [
  ['repository', 'node', 'tools/check-repository.mjs'],
  ['lockfile', 'node', 'tools/complete-lockfile.mjs', '--check'],
  ['types', 'tsc', '-b'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['format', 'biome', 'format'],
  ['boundaries', 'node', 'tools/check-boundaries.mjs'],
  ['unit tests', 'node', 'tools/test.mjs', '--project', 'unit'],
].filter(([name]) => name !== 'unit tests' || !process.argv.includes('--no-tests'));

function run([command, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', (error) => resolve({ ok: false, output: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, output: plain(output.trim()) }));
  });
}

/** Some of the tools colour their output in a CI whatever NO_COLOR says. */
function plain(text) {
  return env.NO_COLOR === undefined ? text : stripVTControlCharacters(text);
}

const failed = [];
for (const [name, ...command] of steps) {
  const startedAt = performance.now();
  const { ok, output } = await run(command);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${ok ? '✓' : '✗'} ${name.padEnd(12)} ${seconds} s\n`);
  if (ok && name === 'unit tests') process.stdout.write(`  ${output.split('\n').at(-1)}\n`);
  if (!ok) {
    failed.push(name);
    process.stdout.write(`${output.replaceAll(/^/gm, '  ')}\n`);
  }
}
if (failed.length > 0) {
  process.stdout.write(`check: not in order: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
