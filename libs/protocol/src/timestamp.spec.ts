import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTimestamp, toUnixSeconds, unixSeconds } from './timestamp.js';

describe('a timestamp', () => {
  it.each([
    [1573000000, 1573000000],
    [1573000000.5, 1573000000.5],
    [1573000000123, 1573000000.123],
    ['1573000000', 1573000000],
    [' 1573000000123 ', 1573000000.123],
    ['1573000000.25', 1573000000.25],
    [0, 0],
    [99_999_999_999, 99_999_999_999],
    [100_000_000_000, 100_000_000],
  ])('%j is %d seconds', (value, expected) => {
    expect(readTimestamp(value)).toBe(expected);
  });

  it.each([
    undefined,
    null,
    '',
    'now',
    '0x10',
    '1e9',
    '-1',
    -1,
    Number.NaN,
    Infinity,
    1e300,
    true,
    [],
    {},
    [1573000000],
  ])('%j is none', (value) => expect(readTimestamp(value)).toBeUndefined());

  it('is sent in whole seconds, and read back as the same', () => {
    expect(toUnixSeconds(1573000000999)).toBe(1573000000);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999_999_999 }), (seconds) => {
        expect(unixSeconds.parse(seconds)).toBe(seconds);
        expect(readTimestamp(seconds)).toBe(seconds);
        expect(readTimestamp(String(seconds))).toBe(seconds);
      }),
    );
  });

  it('is never a reason to fail', () => {
    fc.assert(fc.property(fc.anything(), (value) => void readTimestamp(value)));
  });
});
