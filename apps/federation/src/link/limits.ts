/** Of a request to the gateways' door, and of an answer. */
export const maxBodyBytes = 1_048_576;

/** Of a request of whoever has no certificate. */
export const maxStrangersBytes = 32_768;

/** Where a verb is asked. */
export function linkPath(verb: string): string {
  return `/v1/${verb}`;
}
