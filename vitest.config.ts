import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** As in tsconfig.base.json: packages of the workspace are read from their sources. */
const conditions = ['@mqtt2go/source', 'node', 'default'];

/** The projects take it one by one and not by `extends`, which would run the global setup once more for each. */
const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['node', 'default'] } },
  // Where vitest runs the global setup.
  environments: { __vitest__: { resolve: { conditions } } },
};
const habits = { pool: 'forks', restoreMocks: true, unstubEnvs: true } as const;

export default defineConfig({
  ...shared,
  test: {
    // One database server for the whole run.
    globalSetup: ['./libs/testing/src/global-setup.ts'],
    maxWorkers: Math.max(2, availableParallelism() - 1),
    passWithNoTests: false,
    reporters: ['./tools/vitest-reporter.mjs'],
    projects: [
      {
        ...shared,
        test: {
          ...habits,
          name: 'unit',
          include: ['libs/**/*.spec.ts', 'plugins/**/*.spec.ts', 'apps/*/src/**/*.spec.ts', 'tools/**/*.spec.{ts,mjs}'],
          testTimeout: 15_000,
          hookTimeout: 60_000,
        },
      },
      {
        ...shared,
        test: {
          ...habits,
          // Whole programs on real sockets, databases and signals: one file after the other, after the unit tests.
          name: 'e2e',
          include: ['apps/*/test/**/*.{e2e,spec}.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        ...shared,
        test: {
          ...habits,
          // Machines in network namespaces. tools/test.mjs leaves it out where there are none.
          name: 'network',
          include: ['{libs,apps,plugins}/**/*.netns.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        ...shared,
        test: {
          ...habits,
          // The platform in containers, and what can happen to it. tools/test.mjs leaves it out where there is no Docker.
          name: 'system',
          include: ['{libs,apps,plugins}/**/*.system.ts'],
          globalSetup: ['./libs/testing/src/system-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
