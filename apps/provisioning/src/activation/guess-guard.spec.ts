import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GuessGuard } from './guess-guard.js';

describe('the guard against guessed codes', () => {
  let guard: GuessGuard;
  const slowed = vi.fn<() => void>();

  beforeEach(() => {
    vi.useFakeTimers();
    slowed.mockReset();
    guard = new GuessGuard();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** How long until a promise settles. */
  const duration = async (work: Promise<unknown>): Promise<number> => {
    const startMs = performance.now();
    let endMs = Number.NaN;
    void work
      .catch(() => undefined)
      .then(() => {
        endMs = performance.now();
      });
    await vi.advanceTimersByTimeAsync(120_000);
    return endMs - startMs;
  };
  const fail = (homeId = 'home-1'): Promise<void> => guard.failed(homeId, 'device', slowed);
  const enter = (homeId = 'home-1', deviceId = 'device'): Promise<void> => guard.enter(homeId, deviceId, slowed);

  it('answers wrong codes later and later, from a quarter of a second to half a minute', async () => {
    const delays: number[] = [];
    for (let attempt = 0; attempt < 10; attempt += 1) delays.push(await duration(fail()));
    expect(delays).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(slowed).toHaveBeenCalledTimes(10);
  });

  it('lets nobody wait who has not guessed', async () => {
    expect(await duration(enter())).toBe(0);
    expect(slowed).not.toHaveBeenCalled();
  });

  it('looks at the next code only when the last is answered', async () => {
    for (let attempt = 0; attempt < 4; attempt += 1) await duration(fail());
    void fail();
    expect(await duration(enter())).toBe(4_000);
  });

  it('slows neither another home nor another device', async () => {
    for (let attempt = 0; attempt < 8; attempt += 1) void fail('home-2');
    expect(await duration(enter('home-1'))).toBe(0);
    void fail('home-2');
    expect(await duration(enter('home-2', 'another'))).toBe(0);
  });

  it('takes turns: codes that come at once are looked at one after the other', async () => {
    for (let attempt = 0; attempt < 3; attempt += 1) await duration(fail());
    void fail();
    const turns = [enter(), enter(), enter()].map(async (turn) => {
      await turn;
      return performance.now();
    });
    await vi.advanceTimersByTimeAsync(60_000);
    const [first = 0, second = 0, third = 0] = await Promise.all(turns);
    expect([second - first, third - second]).toEqual([2_000, 2_000]);
  });

  it('refuses what would wait behind too many, and holds no more than that', async () => {
    for (let attempt = 0; attempt < 8; attempt += 1) void fail();
    const waiting = Array.from({ length: 4 }, () => enter());
    await expect(enter()).rejects.toMatchObject({ code: 'too_many_attempts' });
    guard.stop();
    await Promise.all(waiting);
  });

  it('forgets with the right code, and with time', async () => {
    void fail();
    guard.succeeded('home-1', 'device');
    expect(await duration(enter())).toBe(0);
    void fail();
    await vi.advanceTimersByTimeAsync(15 * 60_000);
    expect(await duration(fail())).toBe(250);
  });

  it('remembers a bounded number of devices', async () => {
    for (let device = 0; device < 10_001; device += 1) void guard.failed('home-1', `device-${device}`, slowed);
    expect(await duration(enter('home-1', 'device-0'))).toBe(0);
    void guard.failed('home-1', 'device-10000', slowed);
    expect(await duration(enter('home-1', 'device-10000'))).toBeGreaterThan(0);
  });

  it('ends all waiting when the service stops', async () => {
    const answers = [fail(), fail(), fail()];
    guard.stop();
    await Promise.all(answers);
    expect(vi.getTimerCount()).toBe(0);
  });
});
