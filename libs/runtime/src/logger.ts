import type { LogConfig } from '@mqtt2go/config';
import { onboardingLogFields } from '@mqtt2go/messaging';
import type { LoggerService } from '@nestjs/common';
import { type Logger, type LoggerOptions, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';

/** Values that never belong in a log, wherever they turn up at the first two levels. */
const secrets = ['password', 'activationCode', 'privateKey', 'deviceCertificate'].flatMap((name) => [
  name,
  `*.${name}`,
]);

/** The process's logger; every line carries the onboarding that is worked for. */
export function createLogger(config: LogConfig): Logger {
  const options: LoggerOptions = {
    level: config.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    mixin: onboardingLogFields,
    redact: secrets,
  };
  return config.format === 'pretty' ? pino(options, PinoPretty({ sync: true })) : pino(options);
}

/** What NestJS itself has to say, in the process's log. Its everyday lines are for debugging. */
export class NestLogBridge implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }
  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }
  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('trace', message, rest);
  }
  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }
  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  /** NestJS puts the name of the class that logs last, and a stack, if it has one, before it. */
  private write(level: 'trace' | 'debug' | 'warn' | 'error' | 'fatal', message: unknown, rest: unknown[]): void {
    const context = typeof rest.at(-1) === 'string' ? { context: rest.pop() } : {};
    const stack = typeof rest[0] === 'string' ? { stack: rest[0] } : {};
    if (message instanceof Error) {
      this.logger[level]({ ...context, err: message });
    } else if (typeof message === 'object' && message !== null) {
      this.logger[level]({ ...context, ...stack, ...message });
    } else {
      this.logger[level]({ ...context, ...stack }, String(message));
    }
  }
}
