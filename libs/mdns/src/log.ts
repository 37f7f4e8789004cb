/** Where it is told what happens; pino's loggers fit. */
export interface Log {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export const noLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined };
