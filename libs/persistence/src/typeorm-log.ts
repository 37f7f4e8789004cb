import type { Logger as PinoLogger } from 'pino';
import type { Logger } from 'typeorm';

/**
 * What TypeORM says, in the service's log instead of on stdout. Failed statements are not logged here: whoever
 * made them gets the error, and an expected one (a taken name) is nothing to log.
 */
export class TypeormLog implements Logger {
  constructor(private readonly target: PinoLogger) {}

  logQuery(): void {}
  logQueryError(): void {}
  logQuerySlow(timeMs: number, query: string): void {
    this.target.warn({ query, timeMs }, 'a statement was slow');
  }
  logSchemaBuild(): void {}
  logMigration(message: string): void {
    this.target.debug(message);
  }
  log(level: 'log' | 'info' | 'warn', message: unknown): void {
    this.target[level === 'warn' ? 'warn' : 'debug'](String(message));
  }
}
