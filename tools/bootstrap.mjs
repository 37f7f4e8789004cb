#!/usr/bin/env node
/**
 * Makes a clone ready to run: installs what package-lock.json names, checks the Node.js that the project runs on, and
 * builds the bundles, each only where it is missing or out of date. Runs before the npm scripts, on Node.js 20 or newer
 * and with nothing else; that is why it imports from Node.js only.
 *
 *   node tools/bootstrap.mjs [--no-build] [--force]
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildIsFresh } from './build-state.mjs';
import { withFileLock } from './file-lock.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stampFile = join(modules, '.mqtt2go-bootstrap');
const binFolder = join(modules, '.bin');
const pinnedNode = join(binFolder, process.platform === 'win32' ? 'node.cmd' : 'node');
/** Releases below this lack what the project runs on; the pinned one of some platforms is an early 24. */
const wanted = { major: 24, minor: 11 };

/**
 * @param {{build?: boolean, force?: boolean}} [options] build: the bundles too (default); force: install again
 * @returns {Promise<void>} rejects BootstrapError with a line for the user
 */
export async function bootstrap({ build = true, force = false } = {}) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new BootstrapError(`This is Node.js ${process.versions.node}; Node.js 20 or newer is needed.`);
  }
  const ready = () => !force && isInstalled() && (!build || buildIsFresh(root));
  if (ready()) return;
  await withFileLock(
    join(root, '.bootstrap.lock'),
    { onWait: (pid) => say(`waiting for process ${pid}, which does it`) },
    async () => {
      if (force || !isInstalled()) {
        if (force || !adoptInstalled()) await install();
        const node = checkNode();
        writeFileSync(stampFile, `${JSON.stringify({ key: installKey(), node })}\n`);
      }
      if (build && !buildIsFresh(root)) await buildBundles();
    },
  );
}

export class BootstrapError extends Error {}

/** What an installation depends on; a stamp with this key says that it was completed here. */
function installKey() {
  const hash = createHash('sha256');
  for (const file of ['package-lock.json', '.npmrc']) hash.update(readFileSync(join(root, file)));
  return `${hash.digest('hex').slice(0, 32)} ${process.platform}-${process.arch}`;
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return undefined;
  }
}

function isInstalled() {
  const stamp = readStamp();
  return stamp?.key === installKey() && typeof stamp.node === 'string' && existsSync(stamp.node);
}

/** True if `npm ci` or `npm install`, run by hand, left just what the lockfile names: npm keeps a list of it. */
function adoptInstalled() {
  let installed;
  let locked;
  try {
    installed = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')).packages;
    locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  } catch {
    return false;
  }
  return Object.entries(locked).every(([path, wantedEntry]) => {
    if (path === '' || !path.startsWith('node_modules/')) return true;
    const entry = installed[path];
    if (entry === undefined) return wantedEntry.optional === true && !isForHere(wantedEntry);
    return entry.version === wantedEntry.version && entry.link === wantedEntry.link && existsSync(join(root, path));
  });
}

/** Of packages for one C library, npm installs one of two; which one is npm's to know. */
function isForHere({ os, cpu, libc }) {
  const isFor = (list, value) => list === undefined || list.includes(value);
  return libc === undefined && isFor(os, process.platform) && isFor(cpu, process.arch);
}

async function install() {
  const count = Object.keys(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages).length;
  say(`installing the ${count} packages of package-lock.json (npm ci); this happens once`);
  const outcome = await withProgress(
    () =>
      runQuietly(
        ...npmCommand(
          'ci',
          '--include=dev',
          '--include=optional',
          '--no-audit',
          '--no-fund',
          '--prefer-offline',
          '--loglevel=warn',
        ),
      ),
    () => `${countInstalled()} packages in place`,
  );
  if (outcome.code !== 0) {
    process.stderr.write(`${scrub(outcome.output)}\n`);
    throw new BootstrapError(
      'npm ci did not succeed (see above). It needs the network once; set npm’s "registry" if yours is not the public one.',
    );
  }
  say(`installed in ${outcome.seconds} s`);
}

/** npm on a Node.js from outside of node_modules, because `npm ci` removes the one inside first. */
function npmCommand(...args) {
  const path = outsidePath();
  const env = { ...process.env, PATH: path.join(delimiter) };
  delete env.NODE_ENV;
  const node = path.map((folder) => join(folder, 'node')).find((file) => existsSync(file)) ?? process.execPath;
  const npm = process.env.npm_execpath;
  if (npm !== undefined && basename(npm) === 'npm-cli.js' && existsSync(npm)) return [node, [npm, ...args], { env }];
  return ['npm', args, { env, shell: process.platform === 'win32' }];
}

/** The PATH without node_modules/.bin, which npm puts in front of it. */
function outsidePath() {
  return (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.split(/[\\/]/).includes('node_modules'));
}

function countInstalled() {
  try {
    return readdirSync(modules, { withFileTypes: true }).reduce(
      (sum, entry) => sum + (entry.name.startsWith('@') ? readdirSync(join(modules, entry.name)).length : 1),
      0,
    );
  } catch {
    return 0;
  }
}

/** @returns {string} the Node.js that the scripts run on from now on */
function checkNode() {
  const pinned = versionOf(pinnedNode);
  if (pinned !== undefined && suffices(pinned)) return pinnedNode;
  const system = [
    ...outsidePath().map((folder) => join(folder, process.platform === 'win32' ? 'node.exe' : 'node')),
    process.execPath,
  ]
    .filter((file) => existsSync(file) && !file.startsWith(modules))
    .find((file) => suffices(versionOf(file)));
  if (system !== undefined) {
    // The scripts find the first `node` on their PATH, which a Node.js in .bin that does not run would be.
    rmSync(pinnedNode, { force: true });
    return system;
  }
  if (pinned !== undefined && pinned.major >= wanted.major) return pinnedNode;
  throw new BootstrapError(
    `There is no Node.js ${wanted.major} for ${process.platform}-${process.arch} among the packages. Install Node.js ` +
      `${wanted.major}.${wanted.minor} or newer (https://nodejs.org) and start again.`,
  );
}

function suffices(version) {
  if (version === undefined) return false;
  return version.major > wanted.major || (version.major === wanted.major && version.minor >= wanted.minor);
}

function versionOf(file) {
  if (!existsSync(file)) return undefined;
  const run = spawnSync(file, ['--version'], { encoding: 'utf8', shell: file.endsWith('.cmd') });
  const match = /^v(\d+)\.(\d+)\./.exec(run.stdout ?? '');
  return match === null || run.status !== 0 ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

async function buildBundles() {
  say('building the programs into dist/');
  const { node } = readStamp();
  const outcome = await runQuietly(node, [join(root, 'tools', 'build.mjs')], { shell: node.endsWith('.cmd') });
  if (outcome.code !== 0) {
    process.stderr.write(`${outcome.output}\n`);
    throw new BootstrapError('The build did not succeed (see above).');
  }
  say(`built in ${outcome.seconds} s`);
}

/** Runs a program and keeps what it says, for the case that it fails. */
function runQuietly(command, args, options) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    const forward = (signal) => child.kill(signal);
    process.once('SIGINT', forward).once('SIGTERM', forward);
    child.once('error', (error) => reject(new BootstrapError(`${command} could not be run: ${error.message}`)));
    child.once('close', (code) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      resolve({ code, output: output.trim(), seconds: ((performance.now() - startedAt) / 1000).toFixed(1) });
    });
  });
}

/** Lines of npm that say nothing about this project. */
function scrub(output) {
  return output
    .split('\n')
    .filter((line) => !/EBADENGINE|Unknown (user|env) config|npm notice/.test(line))
    .join('\n');
}

async function withProgress(work, detail) {
  const startedAt = performance.now();
  const inPlace = process.stdout.isTTY === true;
  const timer = setInterval(
    () => {
      const line = `${Math.round((performance.now() - startedAt) / 1000)} s, ${detail()}`;
      if (inPlace) process.stdout.write(`\r\x1b[2Kmqtt2go: … ${line}`);
      else say(`… ${line}`);
    },
    inPlace ? 500 : 5_000,
  );
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (inPlace) process.stdout.write('\r\x1b[2K');
  }
}

function say(line) {
  process.stdout.write(`mqtt2go: ${line}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const flags = process.argv.slice(2);
  try {
    await bootstrap({ build: !flags.includes('--no-build'), force: flags.includes('--force') });
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    process.stderr.write(`mqtt2go: ${error.message}\n`);
    process.exitCode = 1;
  }
}
