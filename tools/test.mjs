#!/usr/bin/env node
/**
 * Runs Vitest over the whole workspace; the arguments are Vitest's. Ends with its status, whatever ended it. The system
 * tests take part where a Docker engine and images to start from can be had; with MQTT2GO_REQUIRE_DOCKER=1 the run
 * fails where they cannot.
 */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dockerAnswers, findBaseImage, howToGet, neededBases } from './base-images.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const env = { ...process.env };
// Vitest takes a CI for a terminal with colours.
if (env.CI !== undefined && env.FORCE_COLOR === undefined) env.NO_COLOR ??= '1';

const args = process.argv.slice(2);
const all = !args.some((arg) => arg.startsWith('--project'));
const wantsSystem = args.some(
  (arg, index) => arg === '--project=system' || (arg === 'system' && args[index - 1] === '--project'),
);
const lacking = all || wantsSystem ? whatSystemTestsLack() : undefined;

if (lacking !== undefined && (wantsSystem || env.MQTT2GO_REQUIRE_DOCKER === '1')) {
  process.stdout.write(`The system tests cannot run: ${lacking}\n0 passed, 1 failed\n`);
  process.exitCode = 1;
} else {
  if (lacking !== undefined) {
    process.stdout.write(`The system tests are left out: ${lacking}\n`);
    args.push('--project', 'unit', '--project', 'e2e');
  }
  runVitest(args);
}

/** @returns {string | undefined} a line for people; undefined when nothing is missing */
function whatSystemTestsLack() {
  if (!dockerAnswers())
    return 'no Docker engine answers. Start one that `docker info` reaches, and run the tests again.';
  const missing = neededBases.find((name) => findBaseImage(name) === undefined);
  return missing === undefined ? undefined : howToGet(missing);
}

function runVitest(vitestArgs) {
  const vitest = spawn(
    process.execPath,
    [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', root, ...vitestArgs],
    { cwd: root, env, stdio: 'inherit' },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => vitest.kill(signal));
  vitest.once('exit', (code, signal) => {
    if (signal !== null) process.stdout.write(`Vitest was ended by ${signal}.\n0 passed, 1 failed\n`);
    process.exitCode = code ?? 1;
  });
}
