import { writeSync } from 'node:fs';
import { DefaultReporter } from 'vitest/node';

/**
 * Vitest's own report, and as the very last line of the process `N passed, N failed`. A suite or file that broke, and
 * an error outside of any test, count as failed. A run without tests does not succeed.
 */
export default class SummaryReporter extends DefaultReporter {
  counts = { passed: 0, failed: 0, skipped: 0 };

  onInit(vitest) {
    super.onInit(vitest);
    if (!vitest.config.watch) process.once('exit', (code) => this.sumUp(code ?? 0, vitest.config.passWithNoTests));
  }

  onTestRunEnd(modules, unhandledErrors, reason) {
    this.counts = count(modules, unhandledErrors, reason);
    return super.onTestRunEnd(modules, unhandledErrors, reason);
  }

  sumUp(code, mayBeEmpty) {
    const { passed, failed, skipped } = this.counts;
    const broken = failed === 0 && code !== 0 ? 1 : 0;
    if (code === 0 && (failed > 0 || (passed === 0 && !mayBeEmpty))) process.exitCode = 1;
    writeSync(1, `${passed} passed, ${failed + broken} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  }
}

/** @returns {{passed: number, failed: number, skipped: number}} */
export function count(modules, unhandledErrors, reason) {
  const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') counts.passed += 1;
      else if (state === 'skipped') counts.skipped += 1;
      else counts.failed += 1;
    }
    const suites = [module, ...module.children.allSuites()];
    counts.failed += suites.filter((suite) => suite.errors().length > 0).length;
    const unfinished = !['passed', 'failed', 'skipped'].includes(module.state());
    if (unfinished && unhandledErrors.length === 0) counts.failed += 1;
  }
  if (reason === 'interrupted' && counts.failed === 0) counts.failed = 1;
  return counts;
}
