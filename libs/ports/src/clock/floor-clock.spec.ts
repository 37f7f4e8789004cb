import { beforeEach, describe, expect, it } from 'vitest';
import { FloorClock } from './floor-clock.js';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const yearMs = 365.25 * dayMs;
const builtAtMs = Date.UTC(2026, 0, 1);
const todayMs = Date.UTC(2027, 5, 1);

/** A machine whose clock can be set, and which can sleep. */
class Machine {
  systemMs = todayMs;
  monotonicMs = 5_000;
  sleptMs = 0;
  isSynchronised = false;

  passes(ms: number): void {
    this.systemMs += ms;
    this.monotonicMs += ms;
  }

  start(lastKnownMs?: number): FloorClock {
    return new FloorClock({
      builtAtMs,
      lastKnownMs,
      isSynchronised: async () => this.isSynchronised,
      systemMs: () => this.systemMs,
      monotonicMs: () => this.monotonicMs,
      bootMs: () => this.monotonicMs + this.sleptMs,
    });
  }
}

let machine: Machine;
beforeEach(() => {
  machine = new Machine();
});

describe('a clock with a floor', () => {
  it("is the system's where that is right", async () => {
    const clock = machine.start(todayMs - dayMs);
    expect(clock.now()).toBe(todayMs);
    machine.passes(dayMs);
    expect(clock.now()).toBe(todayMs + dayMs);
    expect(await clock.check()).toBe('right');
  });

  it('starts at the last known time on a machine in 1970, and goes on from there', async () => {
    machine.systemMs = 0;
    const clock = machine.start(todayMs);
    expect(clock.state).toBe('behind');
    expect(clock.isFloor).toBe(true);
    machine.passes(minuteMs);
    expect(clock.now()).toBe(todayMs + minuteMs);
    expect(clock.systemOffsetMs).toBe(-todayMs);
    machine.isSynchronised = true;
    expect(await clock.check()).toBe('behind');
    expect(clock.now()).toBe(todayMs + minuteMs);
  });

  it('starts when it was built where nothing else is known', () => {
    machine.systemMs = 0;
    expect(machine.start().now()).toBe(builtAtMs);
    expect(machine.start(builtAtMs - dayMs).now()).toBe(builtAtMs);
  });

  it('does not jump when the right time comes before everybody has moved along', async () => {
    machine.systemMs = 0;
    const clock = machine.start(todayMs);
    const moves: { byMs: number; nowMs: number }[] = [];
    let open = (): void => undefined;
    clock.onCorrection((byMs) => {
      moves.push({ byMs, nowMs: clock.now() });
      return new Promise((resolve) => {
        open = resolve;
      });
    });
    machine.passes(minuteMs);
    machine.systemMs = todayMs + 90 * dayMs;
    expect(clock.now()).toBe(todayMs + minuteMs);
    const checked = clock.check();
    expect(clock.now()).toBe(todayMs + minuteMs);
    expect(moves).toEqual([{ byMs: 90 * dayMs - minuteMs, nowMs: todayMs + minuteMs }]);
    expect(clock.isFloor).toBe(true);
    open();
    expect(await checked).toBe('right');
    expect(clock.isFloor).toBe(false);
    expect(clock.now()).toBe(todayMs + 90 * dayMs);
  });

  it('stays where it is when somebody cannot move along, and moves nobody twice', async () => {
    machine.systemMs = 0;
    const clock = machine.start(todayMs);
    const movedBy: number[] = [];
    let isDown = true;
    clock.onCorrection(async (byMs) => void movedBy.push(byMs));
    clock.onCorrection(async () => {
      if (isDown) throw new Error('down');
    });
    machine.systemMs = todayMs + dayMs;
    await expect(clock.check()).rejects.toThrow('down');
    expect(clock.now()).toBe(todayMs);
    isDown = false;
    machine.passes(1_000);
    expect(await clock.check()).toBe('right');
    expect(movedBy).toEqual([dayMs, 0]);
    expect(clock.now()).toBe(todayMs + dayMs + 1_000);
  });

  it('asks nobody any more who has gone', async () => {
    const clock = machine.start();
    let asked = 0;
    const leave = clock.onCorrection(async () => void (asked += 1));
    machine.systemMs += dayMs;
    await clock.check();
    leave();
    machine.systemMs += dayMs;
    await clock.check();
    expect(asked).toBe(1);
  });

  it('takes small steps as they come, and never goes back with them', async () => {
    const clock = machine.start();
    machine.systemMs += 30_000;
    expect(clock.now()).toBe(todayMs + 30_000);
    machine.systemMs -= 20_000;
    expect(clock.now()).toBe(todayMs + 30_000);
    machine.passes(19_000);
    expect(clock.now()).toBe(todayMs + 30_000);
    machine.passes(2_000);
    expect(clock.now()).toBe(todayMs + 31_000);
    expect(await clock.check()).toBe('right');
  });

  it('follows a clock that goes back only if the system knows it to be right, and all move along', async () => {
    const clock = machine.start();
    const movedBy: number[] = [];
    clock.onCorrection(async (byMs) => void movedBy.push(byMs));
    machine.systemMs = todayMs + 5 * yearMs;
    await clock.check();
    expect(clock.now()).toBe(todayMs + 5 * yearMs);
    machine.systemMs = todayMs;
    machine.passes(1_000);
    expect(await clock.check()).toBe('behind');
    expect(clock.now()).toBe(todayMs + 5 * yearMs + 1_000);
    machine.isSynchronised = true;
    expect(await clock.check()).toBe('right');
    expect(clock.now()).toBe(todayMs + 1_000);
    expect(movedBy).toEqual([5 * yearMs, -5 * yearMs]);
  });

  it('believes no time that is decades away, from the system or from the last run', async () => {
    machine.systemMs = Date.UTC(2099, 0, 1);
    const clock = machine.start(todayMs);
    expect(clock.now()).toBe(todayMs);
    expect(await clock.check()).toBe('unbelievable');
    machine.systemMs = todayMs + dayMs;
    expect(await clock.check()).toBe('right');
    expect(clock.now()).toBe(todayMs + dayMs);
    expect(machine.start(Date.UTC(2099, 0, 1)).now()).toBe(todayMs + dayMs);
  });

  it('counts what the machine has slept as time that has passed', async () => {
    const clock = machine.start();
    const movedBy: number[] = [];
    clock.onCorrection(async (byMs) => void movedBy.push(byMs));
    machine.systemMs += 3 * dayMs;
    machine.sleptMs += 3 * dayMs;
    expect(await clock.check()).toBe('right');
    expect(clock.now()).toBe(todayMs + 3 * dayMs);
    expect(movedBy).toEqual([]);
  });
});
