#!/usr/bin/env node
/**
 * Builds the container images: one program each, as a single file on the base image. What is current is left alone.
 *
 *   node tools/images.mjs [--json] [program ...]
 *
 * --json: instead of the table, one line that tells the images by name, those of others included.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { rolldown } from 'rolldown';
import { docker, dockerAnswers, findBaseImage, howToGet, imageId } from './base-images.mjs';
import { bundleOptions } from './build.mjs';
import { existingPrograms } from './build-state.mjs';
import { withFileLock } from './file-lock.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dockerfile = join(root, 'docker', 'Dockerfile');
const inputsLabel = 'org.mqtt2go.inputs';

/** The programs that become images, and the stage of the Dockerfile that each is. */
const stages = Object.freeze({
  discovery: 'service',
  provisioning: 'service',
  'certificate-authority': 'service',
  'topic-generator': 'service',
  federation: 'service',
  gateway: 'service',
  initialise: 'tool',
  cli: 'tool',
});

export class ImageError extends Error {}

/**
 * @param {readonly string[]} [wanted] names of programs; all without
 * @param {(line: string) => void} [say]
 * @returns {Promise<Record<string, string>>} program to image
 */
export async function buildImages(wanted = [], say = () => undefined) {
  if (!dockerAnswers()) throw new ImageError('No Docker engine answers (docker info).');
  const base = findBaseImage('node');
  if (base === undefined) throw new ImageError(howToGet('node'));
  const programs = existingPrograms(root);
  const names = wanted.length > 0 ? wanted : Object.keys(stages).filter((name) => name in programs);
  const unknown = names.find((name) => !(name in stages) || !(name in programs));
  if (unknown !== undefined) {
    throw new ImageError(`There is no image of "${unknown}"; there are: ${Object.keys(stages).join(', ')}.`);
  }
  const images = {};
  const lock = join(root, 'dist', 'images.lock');
  mkdirSync(dirname(lock), { recursive: true });
  await withFileLock(lock, { onWait: (pid) => say(`waiting for process ${pid}, which builds images`) }, async () => {
    for (const name of names) images[name] = await buildImage(name, programs[name], base, say);
  });
  return images;
}

async function buildImage(name, entry, base, say) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const folder = join(root, 'dist', 'images', name);
  await bundleInto(folder, name, entry);
  const bundle = readFileSync(join(folder, `${name}.mjs`));
  const inputs = createHash('sha256')
    .update(`${version} ${imageId(base)} `)
    .update(readFileSync(dockerfile))
    .update(bundle)
    .digest('hex')
    .slice(0, 32);
  const image = `mqtt2go/${name}:${version}`;
  if (labelOf(image) === inputs) return image;
  const context = join(folder, 'context');
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context, { recursive: true });
  copyFileSync(join(folder, `${name}.mjs`), join(context, 'program.mjs'));
  const labels = {
    [inputsLabel]: inputs,
    'org.opencontainers.image.title': `mqtt2go ${name}`,
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': 'Apache-2.0',
  };
  say(`building ${image}`);
  await runDocker([
    'build',
    '--file',
    dockerfile,
    '--target',
    stages[name],
    '--build-arg',
    `BASE_IMAGE=${base}`,
    ...Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    '--tag',
    image,
    '--tag',
    `mqtt2go/${name}:latest`,
    context,
  ]);
  return image;
}

/** Beside dist/bundles, whose programs share chunks; here each is complete in itself. */
async function bundleInto(folder, name, entry) {
  const { output, ...input } = bundleOptions({ [name]: entry }, folder, false);
  const made = await rolldown(input);
  try {
    await made.write({ ...output, sourcemap: false });
  } finally {
    await made.close();
  }
}

function labelOf(image) {
  const { ok, output } = docker(['image', 'inspect', '--format', `{{index .Config.Labels "${inputsLabel}"}}`, image]);
  return ok ? output : undefined;
}

function runDocker(args) {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new ImageError(`docker ${args[0]} did not succeed:\n${output.trim()}`));
    });
  });
}

/** A line per image: all of it, and what it adds to the base. */
function table(images, base) {
  const sizeOf = (image) => Number(docker(['image', 'inspect', '--format', '{{.Size}}', image]).output);
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`.padStart(10);
  const baseSize = sizeOf(base);
  const lines = Object.values(images).map((image) => {
    const size = sizeOf(image);
    return `${image.padEnd(40)}${megabytes(size)}${megabytes(size - baseSize)}`;
  });
  return [`${'image'.padEnd(40)}${'size'.padStart(10)}${'own'.padStart(10)}`, ...lines, `base: ${base}`].join('\n');
}

async function main(args) {
  const json = args.includes('--json');
  const images = await buildImages(
    args.filter((arg) => !arg.startsWith('--')),
    (line) => process.stderr.write(`images: ${line}\n`),
  );
  if (!json) {
    process.stdout.write(`${table(images, findBaseImage('node'))}\n`);
    return;
  }
  const others = Object.fromEntries(
    ['node', 'mosquitto', 'postgres', 'rabbitmq'].flatMap((name) => {
      const image = findBaseImage(name, { fetch: name !== 'rabbitmq' });
      return image === undefined ? [] : [[name, image]];
    }),
  );
  process.stdout.write(`${JSON.stringify({ bases: others, programs: images })}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    // rolldown colours its messages wherever they go.
    const text = process.stderr.isTTY ? error.message : stripVTControlCharacters(error.message);
    process.stderr.write(`images: ${text}\n`);
    process.exitCode = 1;
  }
}
