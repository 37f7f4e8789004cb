#!/usr/bin/env node
/** Starts dist/cli.mjs, after making it where it is missing or older than its sources; on the project's own Node.js. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BootstrapError, bootstrap } from '../../../tools/bootstrap.mjs';

const pinned = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url));
const program = new URL('../../../dist/cli.mjs', import.meta.url);

// What it tells of installing and building is no result of a command.
const { write } = process.stdout;
process.stdout.write = process.stderr.write.bind(process.stderr);
try {
  await bootstrap();
} catch (error) {
  if (!(error instanceof BootstrapError)) throw error;
  process.stderr.write(`mqtt2go: ${error.message}\n`);
  process.exit(1);
}
process.stdout.write = write;

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(program.href);
} else {
  // On another Node.js, as when this file is called by its path.
  const node = existsSync(pinned) ? pinned : 'node';
  const child = spawn(node, [fileURLToPath(program), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => {
    process.stderr.write(`mqtt2go: ${node} cannot be started: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}
