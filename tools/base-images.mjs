/** The images of others that the containers are made from: official ones, or the stand-ins of docker/offline/. */
import { spawnSync } from 'node:child_process';

const bases = Object.freeze({
  node: { variable: 'MQTT2GO_NODE_IMAGE', official: 'node:24-slim' },
  mosquitto: { variable: 'MQTT2GO_MOSQUITTO_IMAGE', official: 'eclipse-mosquitto:2.1' },
  postgres: { variable: 'MQTT2GO_POSTGRES_IMAGE', official: 'postgres:18' },
  rabbitmq: { variable: 'MQTT2GO_RABBITMQ_IMAGE', official: 'rabbitmq:4' },
});

/** The names of those that a system test cannot do without. */
export const neededBases = Object.freeze(['node', 'mosquitto', 'postgres']);

/** Runs Docker's command line. @returns {{ok: boolean, output: string}} */
export function docker(args, { timeoutMs = 60_000 } = {}) {
  const run = spawnSync('docker', args, { encoding: 'utf8', timeout: timeoutMs });
  return { ok: run.status === 0, output: `${run.stdout ?? ''}${run.status === 0 ? '' : (run.stderr ?? '')}`.trim() };
}

/** True if a Docker engine answers. */
export function dockerAnswers() {
  return docker(['info', '--format', '{{.ServerVersion}}'], { timeoutMs: 15_000 }).ok;
}

/** The id of an image that is on this machine. @returns {string | undefined} */
export function imageId(name) {
  const { ok, output } = docker(['image', 'inspect', '--format', '{{.Id}}', name]);
  return ok ? output : undefined;
}

/**
 * The image to use: what the variable says; else the official one if it is here; else the stand-in if that is here;
 * else the official one, fetched.
 * @param {'node' | 'mosquitto' | 'postgres' | 'rabbitmq'} name
 * @returns {string | undefined} undefined when none can be had
 */
export function findBaseImage(name, { fetch = true } = {}) {
  const { variable, official } = bases[name];
  const wanted = process.env[variable] || undefined;
  const candidates = wanted === undefined ? [official, `mqtt2go/offline-${name}`] : [wanted];
  const here = candidates.find((image) => imageId(image) !== undefined);
  if (here !== undefined || !fetch) return here;
  return docker(['pull', '--quiet', candidates[0]], { timeoutMs: 600_000 }).ok ? candidates[0] : undefined;
}

/** What to do for an image that cannot be had. */
export function howToGet(name) {
  const { variable, official } = bases[name];
  return `The image ${process.env[variable] || official} cannot be fetched; docker/offline/make.sh makes one that stands in for it.`;
}
