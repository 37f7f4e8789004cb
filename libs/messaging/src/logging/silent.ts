import { type Logger, pino } from 'pino';

/** For whoever is given no logger. */
export const silent: Logger = pino({ level: 'silent' });
