import { FakeClock } from '@mqtt2go/ports';
import { beforeEach, describe, expect, it } from 'vitest';
import { defaultGuessLimits, type GuessLimits, GuessThrottle } from './guess-throttle.js';

interface Held {
  readonly ms: number;
  readonly end: () => void;
}

let clock: FakeClock;
let held: Held[];
let throttle: GuessThrottle;

function start(limits: Partial<GuessLimits> = {}): void {
  clock = new FakeClock();
  held = [];
  throttle = new GuessThrottle(
    (ms, end) => {
      held.push({ ms, end });
      return () => undefined;
    },
    { ...defaultGuessLimits, ...limits },
    () => clock.now(),
  );
}
beforeEach(() => start());

const secret = 'RIGHT';

/** The outcome of a try; undefined until there is one. */
function guess(certificate: string, code: string, owner = 'owner'): { is?: boolean } {
  const outcome: { is?: boolean } = {};
  throttle.attempt({
    certificate,
    code,
    isRight: () => certificate === owner && code === secret,
    isWanted: () => true,
    done: (isRight) => {
      outcome.is = isRight;
    },
  });
  return outcome;
}

/** Lets the newest delay pass. */
const pass = (): void => held.at(-1)?.end();

describe('GuessThrottle', () => {
  it('answers a right one at once, as often as it comes', () => {
    for (let i = 0; i < 100; i += 1) expect(guess('owner', secret).is).toBe(true);
    expect(held).toEqual([]);
  });

  it('doubles the delay of wrong ones up to the longest', () => {
    for (let i = 0; i < 12; i += 1) {
      guess('evil', `code-${i}`);
      pass();
    }
    expect(held.map(({ ms }) => ms)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  });

  it('counts by code as well, whoever tries it', () => {
    for (let i = 0; i < 4; i += 1) {
      guess(`evil-${i}`, secret);
      pass();
    }
    expect(held.map(({ ms }) => ms)).toEqual([100, 200, 400]);
    expect(guess('owner', secret).is).toBe(true);
  });

  it('has one at a time for each certificate, the right one included', () => {
    guess('owner', 'typo');
    const second = guess('owner', 'typo-2');
    const third = guess('owner', secret);
    expect([second.is, third.is]).toEqual([undefined, undefined]);
    pass();
    expect([second.is, third.is]).toEqual([false, true]);
  });

  it('does not let one certificate wait for another', () => {
    guess('evil', 'a');
    guess('evil', 'b');
    expect(held).toHaveLength(1);
    expect(guess('owner', secret).is).toBe(true);
  });

  it('fails what waits behind too many', () => {
    start({ maxWaiting: 2 });
    guess('evil', 'a');
    const outcomes = ['b', 'c', 'd', 'e'].map((code) => guess('evil', code));
    expect(outcomes.map(({ is }) => is)).toEqual([undefined, undefined, undefined, false]);
  });

  it('forgets after a quiet time', () => {
    for (const code of ['a', 'b', 'c']) {
      guess('evil', code);
      pass();
    }
    clock.advance(defaultGuessLimits.quietMs);
    expect(guess('evil', 'd').is).toBe(false);
    expect(held).toHaveLength(2);
  });

  it('remembers so many and no more', () => {
    start({ maxRemembered: 3 });
    for (const name of ['a', 'b', 'c', 'd']) guess(name, `code of ${name}`);
    expect(guess('a', 'other code').is).toBe(false);
    expect(held).toEqual([]);
    guess('d', 'other code');
    expect(held).toHaveLength(1);
  });

  it('leaves out what nobody waits for any more', () => {
    let asked = 0;
    guess('evil', 'a');
    guess('evil', 'b');
    throttle.attempt({
      certificate: 'evil',
      code: 'c',
      isRight: () => {
        asked += 1;
        return false;
      },
      isWanted: () => false,
      done: () => undefined,
    });
    const last = guess('evil', 'd');
    pass();
    expect(asked).toBe(0);
    expect(held).toHaveLength(2);
    pass();
    expect(last.is).toBe(false);
  });

  it('looks at a waiting one again when its certificate gets a new code', () => {
    let isThere = false;
    const outcome: { is?: boolean } = {};
    const tryIt = () =>
      throttle.attempt({
        certificate: 'early',
        code: 'CODE',
        isRight: () => isThere,
        isWanted: () => true,
        done: (isRight) => {
          outcome.is = isRight;
        },
      });
    tryIt();
    tryIt();
    isThere = true;
    outcome.is = undefined;
    throttle.expect('early');
    expect(outcome.is).toBe(true);
    throttle.expect('early');
    throttle.expect('unknown');
  });
});
