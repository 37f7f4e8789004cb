import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** The programs, and the file that each is built from. Those whose file is not there are left out. */
export const programs = Object.freeze({
  gateway: 'apps/gateway/src/main.ts',
  discovery: 'apps/discovery/src/main.ts',
  provisioning: 'apps/provisioning/src/main.ts',
  'certificate-authority': 'apps/certificate-authority/src/main.ts',
  'topic-generator': 'apps/topic-generator/src/main.ts',
  federation: 'apps/federation/src/main.ts',
  initialise: 'apps/gateway/src/initialise/main.ts',
  cli: 'apps/cli/src/main.ts',
  bench: 'apps/bench/src/main.ts',
});

const sourceFolders = ['apps', 'libs', 'plugins'];
const buildFiles = ['package-lock.json', 'tsconfig.base.json', 'tools/build.mjs', 'tools/build-state.mjs'];
const skipped = new Set(['node_modules', 'dist', '.tsbuild']);

/** The entries that exist: program name to source file, relative to the root. */
export function existingPrograms(root) {
  return Object.fromEntries(Object.entries(programs).filter(([, file]) => existsSync(join(root, file))));
}

/**
 * Says which sources a build was made from: paths, sizes and times, not contents, so that it costs a few milliseconds.
 * @returns {string}
 */
export function sourceState(root) {
  const hash = createHash('sha256').update(process.platform);
  const add = (file) => {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(root, file)} ${size} ${mtimeMs}\n`);
  };
  for (const file of buildFiles) add(join(root, file));
  for (const folder of sourceFolders) walk(join(root, folder), add);
  return hash.digest('hex');
}

function walk(folder, add) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!skipped.has(entry.name)) walk(path, add);
    } else if (/\.(ts|json)$/.test(entry.name) && !/\.(spec|e2e|netns|system)\.ts$/.test(entry.name)) {
      add(path);
    }
  }
}

/** What the last build left in dist/.build.json, if it was completed. */
export function readBuildRecord(root) {
  try {
    return JSON.parse(readFileSync(join(root, 'dist', '.build.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

export function buildIsFresh(root) {
  return readBuildRecord(root)?.sources === sourceState(root);
}
