import type { TestProject } from 'vitest/node';
import { startDatabaseCluster } from './database-cluster.js';

declare module 'vitest' {
  interface ProvidedContext {
    databaseAdminUrl: string;
  }
}

/** One database cluster for a run of all tests; `createTestDatabase` makes databases in it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startDatabaseCluster();
  project.provide('databaseAdminUrl', cluster.adminUrl);
  return () => cluster.stop();
}
