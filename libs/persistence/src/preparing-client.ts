import { Duplex } from 'node:stream';
import pg from 'pg';

/** Statements that are built from pieces could be endlessly many; those past this number are planned each time. */
const maxNames = 500;
const names = new Map<string, string>();

/**
 * A connection that has PostgreSQL keep the plan of each statement with parameters, by a name that follows from its
 * text. Parsing and planning a service's few statements anew cost more than carrying them out. A pooler between us and
 * the database has to pass named statements on (PgBouncer does from 1.21 on).
 */
export class PreparingClient extends pg.Client {}

// Not an `override`: the many forms of `query` in its type cannot be written as one.
Object.defineProperty(PreparingClient.prototype, 'query', {
  value(this: pg.Client, text: unknown, ...rest: unknown[]): unknown {
    const result: unknown = Reflect.apply(Reflect.get(pg.Client.prototype, 'query'), this, prepared(text, rest));
    if (result instanceof Promise) result.catch((error: unknown) => leave(this, error));
    return result;
  },
});

/**
 * PostgreSQL ends a statement that takes too long; where no answer comes even then, there is no way to the database. The
 * operating system would hold on to the connection for a quarter of an hour, and each further statement wait in line.
 */
function leave(client: pg.Client, error: unknown): void {
  if (!(error instanceof Error) || error.message !== 'Query read timeout') return;
  const stream: unknown = Reflect.get(Object(Reflect.get(client, 'connection')), 'stream');
  if (stream instanceof Duplex) stream.destroy();
}

/** The arguments of `query`, with the statement under its name where it has parameters. */
function prepared(text: unknown, rest: unknown[]): unknown[] {
  const [values, ...others] = rest;
  if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0) return [text, ...rest];
  const name = nameOf(text);
  return name === undefined ? [text, ...rest] : [{ name, text, values }, ...others];
}

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= maxNames) return known;
  const name = `mqtt2go_${names.size + 1}`;
  names.set(text, name);
  return name;
}
