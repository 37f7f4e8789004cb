/** The code of a system or PostgreSQL error; of an AggregateError (two addresses of one name) the first one's. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof AggregateError) {
    return errorCode(error.errors[0]);
  }
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}
