import { z } from 'zod';

/** From here on a number is milliseconds: 10^11 seconds are the year 5138, 10^11 ms are 1973. */
const firstMillisecond = 1e11;
/** The end of what a JavaScript Date can say, in milliseconds. */
const lastMillisecond = 8.64e15;

/** What we send: Unix time in whole seconds. */
export const unixSeconds = z
  .int()
  .min(0)
  .max(lastMillisecond / 1000);

/**
 * What others send, as Unix time in seconds: seconds, milliseconds, or either as a string. A device may
 * have no clock, so that a timestamp which makes no sense is the same as none: `undefined`, never a refusal.
 */
export function readTimestamp(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !(number >= 0) || number > lastMillisecond) return undefined;
  return number < firstMillisecond ? number : number / 1000;
}

/** @param nowMs Unix time in milliseconds */
export function toUnixSeconds(nowMs: number): number {
  return Math.floor(nowMs / 1000);
}
