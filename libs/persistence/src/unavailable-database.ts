import { Mqtt2goError } from '@mqtt2go/protocol';
import type { DataSource } from 'typeorm';
import { errorCode } from './error-code.js';

/** System errors, and classes and values of SQLSTATE: there is no database, or none that can do any work now. */
const unavailable =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)UNREACH|ENOTFOUND|EAI_AGAIN|08...|53...|57...|58...|25P03)$/;
/** What pg says without a code. */
const lost =
  /^(Connection terminated|timeout e(xceeded|xpired)|Client has encountered a connection error|Query read timeout|Cannot use a pool after)/i;

/**
 * `unavailable`, with the original as its cause, where the database was lost, is full, or takes too long: whoever asked
 * may ask again. Any other error as it is.
 */
export function databaseError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Mqtt2goError) return error;
  const code = errorCode(error);
  const isUnavailable = code === undefined ? lost.test(error.message) : unavailable.test(code);
  if (!isUnavailable) return error;
  return new Mqtt2goError('unavailable', `the database cannot be used: ${error.message || code}`, { cause: error });
}

/** Has each statement of the data source fail by {@link databaseError}: TypeORM passes on what the driver throws. */
export function tellUnavailable(dataSource: DataSource): void {
  const { driver } = dataSource;
  const create = driver.createQueryRunner.bind(driver);
  driver.createQueryRunner = (mode) => {
    const runner = create(mode);
    const query = runner.query.bind(runner);
    // One of the forms of `query` stands for all: they differ in their types only.
    const told = (...args: Parameters<typeof query>): Promise<unknown> =>
      query(...args).catch((error: unknown) => Promise.reject(databaseError(error)));
    return Object.assign(runner, { query: told });
  };
}
