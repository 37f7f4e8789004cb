#!/usr/bin/env node
/**
 * Runs one program and runs it anew whenever its sources change. A service finds the platform that it belongs to by the
 * `services.env` of a gateway that leaves it out (MQTT2GO_SERVICES; `npm run dev`), unless the environment says it.
 *
 *   node tools/serve.mjs PROGRAM
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildOnChange, launcher } from './build.mjs';
import { existingPrograms } from './build-state.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const name = process.argv[2] ?? '';
const entry = existingPrograms(root)[name];
if (entry === undefined) {
  process.stderr.write(
    `serve: there is no program "${name}"; there are: ${Object.keys(existingPrograms(root)).join(', ')}.\n`,
  );
  process.exit(2);
}

/** They run at the same time on one machine: each has a health port of its own, after the gateway's 9090. */
const services = ['discovery', 'provisioning', 'certificate-authority', 'topic-generator', 'federation'];
const isService = services.includes(name);
const dataDir = resolve(root, process.env.MQTT2GO_DATA_DIR ?? 'data');
const servicesEnv = join(dataDir, 'services.env');
const nodeOptions = isService && !process.env.MQTT2GO_DEPLOYMENT_DIR ? [`--env-file-if-exists=${servicesEnv}`] : [];

const folder = join(root, 'dist', 'serve', name);
const file = join(folder, 'start.mjs');
let child;
let ending = false;

/** Restarts wait for each other: the ports and the data folder of the old process must be free. */
let turn = Promise.resolve();
const restart = () => {
  turn = turn.then(async () => {
    await stop();
    if (!ending) start();
  });
};

function start() {
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, launcher(`./${name}.mjs`, '.cache'));
  const env = { ...process.env };
  if (isService) {
    env.MQTT2GO_HEALTH_PORT ??= String(gatewayHealthPort() + 1 + services.indexOf(name));
    // `npm run dev -- --docker`: each service has a folder of its own in the deployment.
    if (env.MQTT2GO_DEPLOYMENT_DIR) env.MQTT2GO_TLS_DIR ??= join(env.MQTT2GO_DEPLOYMENT_DIR, 'services', name);
  }
  const started = spawn(process.execPath, [...nodeOptions, file], { cwd: root, env, stdio: 'inherit' });
  child = started;
  started.once('exit', (code, signal) => {
    if (child === started) child = undefined;
    if (!ending && code !== 0 && signal === null) say(`ended with ${code}; waiting for a change`);
  });
}

function gatewayHealthPort() {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'platform.json'), 'utf8')).ports.health;
  } catch {
    return 9090;
  }
}

async function stop() {
  if (child === undefined) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const overdue = setTimeout(() => child?.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(overdue);
}

function say(line) {
  process.stdout.write(`serve ${name}: ${line}\n`);
}

const watcher = buildOnChange({ [name]: entry }, folder, {
  onBuilt: () => {
    say(child === undefined ? 'built, starting' : 'built, starting again');
    restart();
  },
  onError: say,
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    ending = true;
    await watcher.close();
    await turn;
    await stop();
    process.exit(0);
  });
}
