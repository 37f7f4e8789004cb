#!/usr/bin/env node
/**
 * Adds to package-lock.json the optional packages for other platforms that npm left out. npm drops the ones that its
 * registry did not have when the lockfile was made; where a registry does have them, `npm ci` then ends with
 * "Missing: ... from lock file". Run it after each change of the lockfile: `npm run lockfile`.
 *
 *   node tools/complete-lockfile.mjs [--check]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const processors = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];

/** The names of the entries that were missing, after adding them to `lock`. */
export function completeLockfile(lock) {
  const { packages } = lock;
  const added = [];
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (isResolved(packages, path, name)) continue;
      if (!/^\d+\.\d+\.\d+/.test(version)) {
        throw new Error(`${path} wants ${name}@${version}, which is no exact version and cannot be added.`);
      }
      packages[`node_modules/${name}`] = {
        version,
        ...inOrder({ ...platformOf(name), ...(entry.dev === true ? { dev: true } : {}), optional: true }),
      };
      added.push(name);
    }
  }
  lock.packages = Object.fromEntries(
    Object.entries(packages).sort(([left], [right]) => left.localeCompare(right, 'en')),
  );
  return added;
}

/** npm's own order, so that it writes the entry back as it is. */
function inOrder(entry) {
  return Object.fromEntries(Object.entries(entry).sort(([left], [right]) => left.localeCompare(right, 'en')));
}

/** As Node.js looks a package up: in the folder itself, then in each one above. */
function isResolved(packages, path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (`${folder === '' ? '' : `${folder}/`}node_modules/${name}` in packages) return true;
    if (folder === '') return false;
  }
}

/** What such a package is for stands in its name: `@rolldown/binding-linux-arm64-musl`. */
function platformOf(name) {
  const words = name.split('/').at(-1).split(/[-.]/);
  const system = systems.find((candidate) => words.includes(candidate));
  const processor = processors.find((candidate) => words.includes(candidate));
  if (system === undefined || processor === undefined) {
    throw new Error(`${name} is missing from the lockfile, and its name does not tell its platform; add it by hand.`);
  }
  const libc =
    words.includes('musl') || words.includes('musleabihf')
      ? 'musl'
      : words.some((word) => word.startsWith('gnu'))
        ? 'glibc'
        : undefined;
  return { cpu: [processor], ...(libc === undefined || system !== 'linux' ? {} : { libc: [libc] }), os: [system] };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const file = join(dirname(dirname(fileURLToPath(import.meta.url))), 'package-lock.json');
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  const added = completeLockfile(lock);
  if (process.argv.includes('--check')) {
    if (added.length > 0) {
      process.stderr.write(`package-lock.json lacks ${added.length} packages, such as ${added[0]}: npm run lockfile\n`);
      process.exitCode = 1;
    }
  } else if (added.length > 0) {
    writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
    process.stdout.write(`package-lock.json: added ${added.length} packages of other platforms\n`);
  }
}
