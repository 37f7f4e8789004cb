#!/usr/bin/env node
/** Looks for what must not be in the repository, and for packages that the workspace's lists lack. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Written so that this file does not find itself. */
const word = (...parts) => parts.join('');

/** Each: what is found, in which files, and why it must not be there. */
const forbidden = [
  { text: word('eslint-', 'disable'), why: 'lint rules are changed in .oxlintrc.json, for all' },
  { text: word('oxlint-', 'disable '), why: 'disable one named rule on one line (oxlint-disable-next-line)' },
  { text: word('@ts-', 'ignore'), why: 'mend the type' },
  { text: word('@ts-', 'nocheck'), why: 'mend the types' },
  { text: word('synchronize: ', 'true'), why: 'the schema changes by migrations only' },
  {
    pattern: new RegExp(word('\\b(it|test|describe)\\.(on', 'ly|sk', 'ip|to', 'do)\\b')),
    why: 'all tests run',
    files: /\.ts$/,
  },
  {
    pattern: new RegExp(word('[\\w)\\]}] as ', 'any\\b(?! [a-z])')),
    why: 'parse with a schema, or write the type',
    files: /\.ts$/,
  },
  { pattern: new RegExp(word('\\b(TO', 'DO|FIX', 'ME|XX', 'X)\\b')), why: 'do it, or write it into the documentation' },
  {
    pattern: new RegExp(word('(^|[\\s"\'`(=:])/(wo', 'rk|ro', 'ot|ho', 'me/[a-z]+|Us', 'ers)/')),
    why: 'a path of one machine',
  },
  {
    pattern: /"resolved": "(?!apps\/|libs\/|plugins\/)|registry[.=:]/,
    why: 'a registry of one machine',
    files: /(^|\/)(package-lock\.json|\.npmrc)$/,
  },
];

const binary = /\.(png|jpg|gif|ico|pdf|der|p12|gz|woff2?)$/;
const notOurs = new Set(['LICENSE']);
const maxBytes = 1_000_000;

/** @returns {string[]} a line per finding in one file */
export function findForbidden(file, text) {
  const rules = forbidden.filter(({ files }) =>
    files === undefined ? !file.endsWith('package-lock.json') : files.test(file),
  );
  return text
    .split('\n')
    .flatMap((line, index) =>
      rules
        .filter(({ text: wanted, pattern }) => (wanted === undefined ? pattern.test(line) : line.includes(wanted)))
        .map(({ why }) => `${file}:${index + 1}: ${line.trim().slice(0, 100)}\n    ${why}`),
    );
}

/** Every package has its targets and tags for nx, and TypeScript is told of it. */
function checkWorkspace(root, files) {
  const references = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')).references;
  const testReferences = JSON.parse(readFileSync(join(root, 'tsconfig.tests.json'), 'utf8')).references;
  const listed = (list, folder) => list.some(({ path }) => posix.normalize(path) === folder);
  return files
    .filter(
      (file) =>
        /^(apps|libs|plugins)\/.*package\.json$/.test(file) && !file.includes('/src/') && !file.includes('/test/'),
    )
    .map((file) => posix.dirname(file))
    .flatMap((folder) => [
      ...(listed(references, folder) ? [] : [`tsconfig.json lacks the reference ./${folder}`]),
      ...(listed(testReferences, folder) ? [] : [`tsconfig.tests.json lacks the reference ./${folder}`]),
      ...checkProject(root, folder),
    ]);
}

function checkProject(root, folder) {
  const file = `${folder}/project.json`;
  if (!existsSync(join(root, file))) return [`${file} is missing`];
  const { tags = [], targets = {} } = JSON.parse(readFileSync(join(root, file), 'utf8'));
  return [
    ...['scope:', 'layer:']
      .filter((kind) => !tags.some((tag) => tag.startsWith(kind)))
      .map((kind) => `${file} lacks a tag ${kind}*`),
    ...['typecheck', 'lint', 'test']
      .filter((name) => !(name in targets))
      .map((name) => `${file} lacks the target ${name}`),
  ];
}

function main(root) {
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  const files = list.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
  const findings = checkWorkspace(root, files);
  for (const file of files) {
    if (notOurs.has(file)) continue;
    const content = readFileSync(join(root, file));
    if (content.length > maxBytes) findings.push(`${file}: ${content.length} bytes; large files do not belong here`);
    else if (!binary.test(file)) findings.push(...findForbidden(file, content.toString('utf8')));
  }
  for (const finding of findings) process.stderr.write(`${finding}\n`);
  if (findings.length > 0) process.exitCode = 1;
  else process.stdout.write(`${files.length} files are in order.\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(dirname(dirname(fileURLToPath(import.meta.url))));
}
