import { type Logger, pino } from 'pino';

/** A logger that says nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });

/** A logger that keeps its lines, parsed. */
export function collectingLogger(mixin?: () => object): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: 'trace', ...(mixin === undefined ? {} : { mixin }) },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  );
  return { log, lines };
}
