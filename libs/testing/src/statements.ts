import pg from 'pg';
import { vi } from 'vitest';

/**
 * The SQL of every statement that goes to a database from this process while `work` runs; but for those that are marked as
 * `background`, which no work waits for.
 */
export async function statementsDuring(work: () => Promise<unknown>): Promise<string[]> {
  const query = vi.spyOn(pg.Client.prototype, 'query');
  try {
    await work();
    const statements = query.mock.calls.map(([statement]: unknown[]) => sqlOf(statement));
    return statements.filter((sql) => !sql.startsWith('/* background */'));
  } finally {
    query.mockRestore();
  }
}

/** A statement is its text, or an object with a text for one that is kept prepared. */
function sqlOf(statement: unknown): string {
  if (typeof statement === 'string') return statement;
  return typeof statement === 'object' && statement !== null && 'text' in statement ? String(statement.text) : '';
}
