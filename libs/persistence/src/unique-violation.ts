import { QueryFailedError } from 'typeorm';

const uniqueViolation = '23505';

/** True when a statement failed because of a unique constraint or index; of that name if one is given. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (!(error instanceof QueryFailedError)) {
    return false;
  }
  const cause: unknown = error.driverError;
  if (typeof cause !== 'object' || cause === null || !('code' in cause) || cause.code !== uniqueViolation) {
    return false;
  }
  return constraint === undefined || ('constraint' in cause && cause.constraint === constraint);
}
