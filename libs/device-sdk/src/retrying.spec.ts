import { Mqtt2goError } from '@mqtt2go/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeviceProblem } from './device-events.js';
import { retrying, waitMs } from './retrying.js';

const backOff = { minMs: 500, maxMs: 30_000 };

describe('the wait between attempts', () => {
  it('doubles up to the longest, and is stretched by up to the same again', () => {
    const shortest = Array.from({ length: 9 }, (_unused, at) => waitMs(at + 1, backOff, () => 0));
    expect(shortest).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000 }),
        fc.double({ min: 0, max: 0.999_999, noNaN: true }),
        (n, random) => {
          const nominal = Math.min(500 * 2 ** (n - 1), 30_000);
          const wait = waitMs(n, backOff, () => random);
          expect(wait).toBeGreaterThanOrEqual(nominal);
          expect(wait).toBeLessThan(2 * nominal);
        },
      ),
    );
  });

  it.each([1, 4, 50])('spreads a thousand devices evenly after failure %i', (failures) => {
    let seed = 1;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const nominal = Math.min(500 * 2 ** (failures - 1), 30_000);
    const tenths = Array.from({ length: 10 }, () => 0);
    for (let device = 0; device < 1_000; device++) {
      const tenth = Math.floor(((waitMs(failures, backOff, random) - nominal) / nominal) * 10);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    expect(Math.min(...tenths)).toBeGreaterThan(65);
    expect(Math.max(...tenths)).toBeLessThan(135);
  });
});

describe('retrying', () => {
  it('tells each failure and its wait, by the given random numbers, and ends with the first success', async () => {
    const problems: DeviceProblem[] = [];
    const randoms = [0.5, 0, 0.25];
    let attempts = 0;
    const result = await retrying(
      async () => {
        if (++attempts < 4) throw new Mqtt2goError('unavailable');
        return 'done';
      },
      {
        backOff: { minMs: 1, maxMs: 2 },
        random: () => randoms.shift() ?? 0,
        signal: new AbortController().signal,
        onProblem: (problem) => problems.push(problem),
      },
    );
    expect(result).toBe('done');
    expect(problems.map(({ retryInMs }) => retryInMs)).toEqual([1.5, 2, 2.5]);
  });

  it('ends at once with what no repetition changes, and when it is aborted in the middle of a wait', async () => {
    const aborting = new AbortController();
    const options = { backOff, random: Math.random, signal: aborting.signal };
    const refused = async (): Promise<never> => {
      throw new Mqtt2goError('certificate_revoked');
    };
    await expect(retrying(refused, { ...options, onProblem: () => expect.unreachable() })).rejects.toMatchObject({
      code: 'certificate_revoked',
    });
    const gone = async (): Promise<never> => {
      throw new Mqtt2goError('unavailable');
    };
    const waiting = retrying(gone, { ...options, onProblem: () => aborting.abort(new Error('enough')) });
    await expect(waiting).rejects.toThrow('enough');
  });
});
