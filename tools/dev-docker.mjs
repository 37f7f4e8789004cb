/** The surroundings of `npm run dev -- --docker`: PostgreSQL and Mosquittos in containers, their files in data/dev. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { dockerAnswers, findBaseImage, howToGet } from './base-images.mjs';

/** The number of Mosquitto's user in its image. */
const mosquittoUser = 1883;

/**
 * Starts the containers and makes what they and the services read.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{env: Record<string, string>, stop: () => Promise<void>}>} the services' environment
 */
export async function startContainers(root, env) {
  if (!dockerAnswers()) throw new Error('No Docker engine answers (docker info); without --docker none is needed.');
  const folder = join(resolve(root, env.MQTT2GO_DATA_DIR ?? 'data'), 'dev');
  const uid = process.getuid?.() ?? 1000;
  // Mosquitto does not stay root.
  const user = uid === 0 ? `${mosquittoUser}:${mosquittoUser}` : `${uid}:${process.getgid?.() ?? uid}`;
  const composeEnv = {
    ...env,
    MQTT2GO_MOSQUITTO_IMAGE: imageOf('mosquitto'),
    MQTT2GO_POSTGRES_IMAGE: imageOf('postgres'),
    MQTT2GO_DEV_DIR: folder,
    MQTT2GO_DEV_USER: user,
  };
  const compose = (...args) =>
    run(
      'docker',
      ['compose', '--progress', 'quiet', '--file', join(root, 'docker', 'compose.dev.yaml'), ...args],
      composeEnv,
    );

  const servicesEnv = environment(env, folder);
  mkdirSync(folder, { recursive: true });
  await compose('up', '--detach', '--wait', 'postgres');
  const initialise = join(root, 'dist', 'initialise.mjs');
  await run(process.execPath, [initialise, 'prepare'], { ...servicesEnv, DATABASE_URL: undefined });
  await run(process.execPath, [initialise], servicesEnv);
  if (uid === 0) {
    await run('chown', ['-R', user, join(folder, 'deployment', 'brokers')], env);
    for (const path of [folder, join(folder, 'deployment'), join(folder, 'deployment', 'brokers')])
      chmodSync(path, 0o755);
  }
  await compose('up', '--detach', '--force-recreate', 'bus', 'activation', 'home-0');
  const logs = spawn(
    'docker',
    ['compose', '--file', join(root, 'docker', 'compose.dev.yaml'), 'logs', '--follow', '--no-color', '--tail', '20'],
    { env: composeEnv, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  return {
    env: servicesEnv,
    async stop() {
      const ended = once(logs, 'exit');
      if (logs.exitCode === null && logs.signalCode === null) {
        logs.kill('SIGTERM');
        await ended;
      }
      await compose('stop');
    },
  };
}

/** What `initialise` and the services are told. */
function environment(env, folder) {
  const port = (name, otherwise) => env[name] || String(otherwise);
  const deployment = join(folder, 'deployment');
  return {
    ...env,
    DATABASE_URL: `postgres://postgres:mqtt2go@127.0.0.1:${port('MQTT2GO_DEV_DATABASE_PORT', 15_432)}/mqtt2go`,
    MQTT2GO_KEY_FILE: join(folder, 'encryption.key'),
    MQTT2GO_BROKERS: join(folder, 'brokers.json'),
    MQTT2GO_BUS_HOST: `localhost:${port('MQTT2GO_BUS_PORT', 8886)}`,
    MQTT2GO_HOME_BROKER_HOST: `localhost:${port('MQTT2GO_HOME_SERVICES_PORT', 8887)}`,
    MQTT2GO_ACTIVATION_BROKER_HOST: `localhost:${port('MQTT2GO_ACTIVATION_SERVICES_PORT', 8888)}`,
    MQTT2GO_ACCESS_DIR: join(deployment, 'brokers', '{name}', 'access'),
    MQTT2GO_DEPLOYMENT_DIR: deployment,
  };
}

function imageOf(name) {
  const image = findBaseImage(name);
  if (image === undefined) throw new Error(howToGet(name));
  return image;
}

async function run(command, args, env) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${command} ${args.at(-1)} did not succeed`);
}
