import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { describe, expect, it } from 'vitest';
import { rememberingLookup } from './remembering-lookup.js';

const addresses: LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

function asked(lookup: LookupFunction, all: boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    lookup('home', { all }, (error, address, family) => (error ? reject(error) : resolve([address, family])));
  });
}

describe('rememberingLookup', () => {
  it('asks once in ten seconds and answers in both forms', async () => {
    let asks = 0;
    let nowMs = 0;
    const lookup = rememberingLookup(
      (_host, _options, answer) => {
        asks++;
        answer(null, addresses);
      },
      () => nowMs,
    );
    expect(await asked(lookup, true)).toEqual([addresses, undefined]);
    expect(await asked(lookup, true)).toEqual([addresses, undefined]);
    expect(await asked(lookup, false)).toEqual(['127.0.0.1', 4]);
    expect(asks).toBe(1);
    nowMs = 10_000;
    await asked(lookup, true);
    expect(asks).toBe(2);
  });

  it('asks again after a failure', async () => {
    let fails = true;
    const lookup = rememberingLookup((_host, _options, answer) => {
      if (fails) answer(new Error('no such host'), []);
      else answer(null, addresses);
    });
    await expect(asked(lookup, true)).rejects.toThrow('no such host');
    fails = false;
    expect(await asked(lookup, true)).toEqual([addresses, undefined]);
  });
});
