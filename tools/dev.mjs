#!/usr/bin/env node
/**
 * The platform as it runs when its services are apart: the gateway with brokers and database only, and each service as a
 * process of its own by `nx serve`, started anew when its sources change. All their logs on this terminal.
 *
 *   node tools/dev.mjs [--docker]
 *
 * --docker: in the place of the gateway, Mosquittos and PostgreSQL in containers (docker/compose.dev.yaml).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const services = ['certificate-authority', 'topic-generator', 'discovery', 'provisioning', 'federation'];
const env = { MQTT2GO_LOG_FORMAT: 'pretty', ...process.env };
const platformFile = join(resolve(root, env.MQTT2GO_DATA_DIR ?? 'data'), 'platform.json');

/** The gateway's own; each service has one of the next. */
const { MQTT2GO_HEALTH_PORT: _healthPort, ...servicesEnv } = env;
let nx;
let ending = false;
/** What the services need around them: `ended` settles when it is no more. */
const surroundings = process.argv.includes('--docker') ? await containers() : ownGateway();

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, end);

await surroundings.ready();
if (!ending) {
  // nx itself and not its npx wrapper, which would leave children behind.
  nx = spawn(
    process.execPath,
    [
      join(root, 'node_modules', 'nx', 'dist', 'bin', 'nx.js'),
      'run-many',
      '-t',
      'serve',
      '-p',
      services.join(','),
      '--output-style=stream',
    ],
    { cwd: root, env: surroundings.env, stdio: 'inherit' },
  );
  nx.once('exit', end);
}
process.exitCode = await surroundings.ended;
await end();

/** Brokers and database in a gateway that runs no service. */
function ownGateway() {
  const gateway = spawn(process.execPath, [join(root, 'dist', 'gateway.mjs')], {
    cwd: root,
    env: { ...env, MQTT2GO_SERVICES: 'none' },
    stdio: 'inherit',
  });
  return {
    env: servicesEnv,
    ready: () => gatewayReady(gateway),
    ended: once(gateway, 'exit').then(([code]) => code ?? 0),
    stop() {
      if (gateway.exitCode === null && gateway.signalCode === null) gateway.kill('SIGTERM');
    },
  };
}

/** The same in containers, which outlive nothing of what runs here. */
async function containers() {
  const { startContainers } = await import('./dev-docker.mjs');
  const started = await startContainers(root, servicesEnv).catch((error) => {
    process.stderr.write(`dev: ${error.message}\n`);
    process.exit(1);
  });
  let settle;
  return {
    env: started.env,
    ready: async () => undefined,
    ended: new Promise((resolve) => {
      settle = resolve;
    }),
    async stop() {
      await started.stop();
      settle(0);
    },
  };
}

/** The gateway writes platform.json, with its own process id in it, when all its doors are open. */
async function gatewayReady(gateway) {
  while (!ending && gateway.exitCode === null) {
    try {
      if (JSON.parse(readFileSync(platformFile, 'utf8')).pid === gateway.pid) return;
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
    await delay(100);
  }
}

/** The services first: they want to say goodbye to the brokers. */
async function end() {
  if (ending) return;
  ending = true;
  if (nx !== undefined && nx.exitCode === null && nx.signalCode === null) {
    nx.kill('SIGTERM');
    await once(nx, 'exit');
  }
  await surroundings.stop();
}
