import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** As in tsconfig.base.json: packages of the workspace are read from their sources. */
const conditions = ['@mqtt2go/source', 'node', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['node', 'default'] } },
  test: {
    reporters: ['./tools/vitest-reporter.mjs'],
    pool: 'forks',
    maxWorkers: Math.max(2, availableParallelism() - 1),
    passWithNoTests: false,
    unstubEnvs: true,
    restoreMocks: true,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          globalSetup: ['./libs/testing/src/global-setup.ts'],
          include: [
            'libs/**/*.spec.ts',
            'plugins/**/*.spec.ts',
            'apps/*/src/**/*.spec.ts',
            'tools/**/*.spec.{ts,mjs}',
          ],
          testTimeout: 15_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          // Whole programs on real sockets, databases and signals: one file after the other, after the unit tests.
          name: 'e2e',
          include: ['apps/*/test/**/*.{e2e,spec}.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
