#!/usr/bin/env node
/**
 * Checks the imports of all packages against .dependency-cruiser.mjs. By its API and not its command line, which warns
 * that it reads TypeScript by swc: TypeScript 7 has no API to read it by.
 */
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import configuration from '../.dependency-cruiser.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const { options, ...ruleSet } = configuration;
const { output } = await cruise(['apps', 'libs', 'plugins'], {
  ...options,
  ruleSet,
  validate: true,
  outputType: 'json',
});
const { summary } = JSON.parse(output);

for (const { rule, from, to, cycle } of summary.violations) {
  const comment = ruleSet.forbidden.find(({ name }) => name === rule.name)?.comment;
  const path = cycle === undefined ? to : cycle.map(({ name }) => name).join(' → ');
  process.stderr.write(`${from} → ${path}\n    ${rule.name}${comment === undefined ? '' : `: ${comment}`}\n`);
}
if (summary.totalCruised === 0 || summary.totalDependenciesCruised === 0) {
  process.stderr.write('No imports were found; the sources were not read.\n');
  process.exitCode = 1;
} else if (summary.violations.length > 0) {
  process.stderr.write(`${summary.violations.length} imports cross a boundary.\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(
    `${summary.totalDependenciesCruised} imports of ${summary.totalCruised} files keep the boundaries.\n`,
  );
}
