import { FakeClock } from '@mqtt2go/ports';
import { contractController } from '@mqtt2go/ports/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultPasswordLimits, PasswordDesk } from './password-desk.js';

const { password } = contractController();

describe('the check of passwords', () => {
  let clock: FakeClock;
  let desk: PasswordDesk;
  let delays: number[];

  beforeEach(() => {
    clock = new FakeClock();
    desk = new PasswordDesk(clock);
    delays = [];
    const real = globalThis.setTimeout;
    vi.stubGlobal('setTimeout', (work: () => void, ms: number) => {
      delays.push(ms);
      return real(work, 0);
    });
  });
  afterEach(() => vi.unstubAllGlobals());

  it('knows the right one, and none of somebody unknown', async () => {
    expect(await desk.isRight('a', 'first-password', password)).toBe(true);
    expect(await desk.isRight('a', 'second-password', password)).toBe(false);
    expect(await desk.isRight('b', 'first-password', undefined)).toBe(false);
    expect(await desk.isRight('a', 'x'.repeat(257), password)).toBe(false);
  });

  it('holds refusals back ever longer, and never the right one', async () => {
    for (let i = 0; i < 8; i += 1) await desk.isRight('a', 'wrong', password);
    expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_000, 3_000]);
    delays.length = 0;
    expect(await desk.isRight('a', 'first-password', password)).toBe(true);
    expect(await desk.isRight('b', 'wrong', password)).toBe(false);
    expect(delays).toEqual([]);
  });

  it('forgets wrong ones after a while', async () => {
    await desk.isRight('a', 'wrong', password);
    clock.advance(defaultPasswordLimits.quietMs);
    await desk.isRight('a', 'wrong', password);
    expect(delays).toEqual([]);
  });

  it('lets nobody fill it up: one name has few at once, and the rest goes on', async () => {
    const many = Array.from({ length: 20 }, () => desk.isRight('a', 'first-password', password).catch(String));
    const other = desk.isRight('b', 'first-password', password);
    const outcomes = await Promise.all(many);
    expect(outcomes.filter((outcome) => outcome === true)).toHaveLength(defaultPasswordLimits.maxWaitingPerName);
    expect(outcomes.filter((outcome) => String(outcome).includes('Too many sign-ins'))).toHaveLength(12);
    expect(await other).toBe(true);
    expect(await desk.isRight('a', 'first-password', password)).toBe(true);
  });
});
