#!/usr/bin/env node
/**
 * Runs Vitest over the whole workspace; the arguments are Vitest's. Ends with its status, whatever ended it. The system
 * tests take part where a Docker engine and images to start from can be had; with MQTT2GO_REQUIRE_DOCKER=1 the run
 * fails where they cannot. The network tests take part where network namespaces, avahi and hostapd can be had;
 * MQTT2GO_REQUIRE_NETNS=1 is the same for them.
 */
import { spawn, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dockerAnswers, findBaseImage, howToGet, neededBases } from './base-images.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const env = { ...process.env };
// Vitest takes a CI for a terminal with colours.
if (env.CI !== undefined && env.FORCE_COLOR === undefined) env.NO_COLOR ??= '1';

/** Projects that need more than Node.js. */
const demanding = [
  { project: 'system', required: 'MQTT2GO_REQUIRE_DOCKER', lacks: whatSystemTestsLack },
  { project: 'network', required: 'MQTT2GO_REQUIRE_NETNS', lacks: whatNetworkTestsLack },
];

const args = process.argv.slice(2);
const named = args.flatMap((arg, index) =>
  arg === '--project' ? [args[index + 1]] : arg.startsWith('--project=') ? [arg.slice('--project='.length)] : [],
);
const lacking = demanding
  .filter(({ project }) => named.length === 0 || named.includes(project))
  .map((each) => ({ ...each, what: each.lacks() }))
  .filter(({ what }) => what !== undefined);
const needed = lacking.find(({ project, required }) => named.includes(project) || env[required] === '1');

if (needed !== undefined) {
  process.stdout.write(`The ${needed.project} tests cannot run: ${needed.what}\n0 passed, 1 failed\n`);
  process.exitCode = 1;
} else {
  for (const { project, what } of lacking) process.stdout.write(`The ${project} tests are left out: ${what}\n`);
  if (lacking.length > 0 && named.length === 0) {
    const left = demanding
      .map(({ project }) => project)
      .filter((name) => !lacking.some(({ project }) => project === name));
    for (const name of ['unit', 'e2e', ...left]) args.push('--project', name);
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

/** @returns {string | undefined} as above */
function whatNetworkTestsLack() {
  if (process.platform !== 'linux') return 'network namespaces are Linux’.';
  if (process.getuid() !== 0) return 'network namespaces are made by root only.';
  const commands = 'ip sysctl dbus-daemon avahi-daemon avahi-browse hostapd hostapd_cli wpa_supplicant'.split(' ');
  const missing = commands.filter((name) => spawnSync('which', [name], { stdio: 'ignore' }).status !== 0);
  if (missing.length > 0)
    return `there is no ${missing.join(', no ')}. Debian has them in iproute2, procps, dbus, avahi-daemon, avahi-utils, hostapd and wpasupplicant.`;
  const trial = `m2g-${process.pid}-trial`;
  const { status, stderr } = spawnSync('ip', ['netns', 'add', trial], { encoding: 'utf8' });
  if (status !== 0) return `a network namespace cannot be made: ${stderr.trim()}`;
  spawnSync('ip', ['netns', 'del', trial]);
  return undefined;
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
