#!/usr/bin/env node
/** Runs Vitest over the whole workspace; the arguments are Vitest's. Ends with its status, whatever ended it. */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const env = { ...process.env };
// Vitest takes a CI for a terminal with colours.
if (env.CI !== undefined && env.FORCE_COLOR === undefined) env.NO_COLOR ??= '1';

const vitest = spawn(
  process.execPath,
  [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', root, ...process.argv.slice(2)],
  { cwd: root, env, stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => vitest.kill(signal));
vitest.once('exit', (code, signal) => {
  if (signal !== null) process.stdout.write(`Vitest was ended by ${signal}.\n0 passed, 1 failed\n`);
  process.exitCode = code ?? 1;
});
