import { describe, expect, it } from 'vitest';
import { count } from './vitest-reporter.mjs';

const suite = (errors = []) => ({ errors: () => errors });
const module = (states, { state = 'passed', errors = [], suites = [] } = {}) => ({
  state: () => state,
  errors: () => errors,
  children: { allTests: () => states.map((one) => ({ result: () => ({ state: one }) })), allSuites: () => suites },
});

describe('the last line of a test run', () => {
  it('counts tests over all files', () => {
    expect(
      count([module(['passed', 'failed'], { state: 'failed' }), module(['passed', 'skipped'])], [], 'failed'),
    ).toEqual({
      passed: 2,
      failed: 1,
      skipped: 1,
    });
  });

  it('counts a file that could not be read, a broken suite, and an error outside of any test as failed', () => {
    expect(count([module([], { state: 'failed', errors: ['no module'] })], [], 'failed').failed).toBe(1);
    expect(count([module(['skipped'], { state: 'failed', suites: [suite(['hook'])] })], [], 'failed').failed).toBe(1);
    expect(count([module(['passed'])], ['unhandled'], 'failed')).toMatchObject({ passed: 1, failed: 1 });
  });

  it('counts a file that never came to its end, and a run that was interrupted', () => {
    expect(count([module([], { state: 'queued' })], [], 'failed').failed).toBe(1);
    expect(count([module(['passed'])], [], 'interrupted').failed).toBe(1);
  });
});
