import { expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../clock/clock.js';
import { FakeAccessPoint, FakeNetworkJoin } from './fake-network-join.js';
import { networkJoinContract } from './network-join.contract.js';
import type { NetworkJoinEvent } from './network-join.js';

networkJoinContract('FakeNetworkJoin', async () => {
  const accessPoint = new FakeAccessPoint();
  return {
    process: (clock) => new FakeNetworkJoin(accessPoint, { clock, tickMs: 5 }),
    openIn: async () => (accessPoint.opening ? [accessPoint.opening.method] : []),
    close: async () => undefined,
  };
});

async function started() {
  const clock = new FakeClock();
  let passed = 0;
  // It ticks when it is told to.
  const join = new FakeNetworkJoin(undefined, { clock, monotonic: () => passed, tickMs: 3_600_000 });
  const events: NetworkJoinEvent[] = [];
  join.onEvent((event) => events.push(event));
  onTestFinished(() => join.stop());
  await join.start();
  const pass = (ms: number) => {
    passed += ms;
  };
  const open = (method: 'wps' | 'guest', activationId = 'act-1') =>
    join.open({ activationId, method, deadline: clock.now() + 600_000 });
  return { join, accessPoint: join.accessPoint, clock, events, pass, open };
}

it('keeps nothing open for longer when the clock is put back', async () => {
  const { join, accessPoint, clock, pass, open } = await started();
  await open('guest');
  clock.advance(-3_600_000);
  await join.tick();
  expect(accessPoint.opening).toBeDefined();
  pass(600_000);
  await join.tick();
  expect(accessPoint.opening).toBeUndefined();
});

it('keeps open what is open when the clock is corrected, and no longer than before', async () => {
  const { join, accessPoint, clock, pass, open } = await started();
  const { closesAt } = await open('guest');
  const byMs = 56 * 365 * 86_400_000;
  await clock.correct(byMs);
  await join.tick();
  expect(accessPoint.opening).toBeDefined();
  expect((await open('guest')).closesAt).toBe(closesAt + byMs);
  clock.advance(599_999);
  pass(599_999);
  await join.tick();
  expect(accessPoint.opening).toBeDefined();
  clock.advance(1);
  await join.tick();
  expect(accessPoint.opening).toBeUndefined();
});

it('closes again and again what does not let itself be closed, and opens nothing meanwhile', async () => {
  const { join, accessPoint, events, open } = await started();
  await open('guest');
  accessPoint.answers = false;
  await expect(join.close('act-1')).rejects.toMatchObject({ code: 'unavailable' });
  expect(events).toEqual([{ activationId: 'act-1', kind: 'closed', because: 'asked' }]);
  await expect(open('guest', 'act-2')).rejects.toMatchObject({ code: 'unavailable' });
  await join.tick();
  expect(accessPoint.opening).toBeDefined();
  accessPoint.answers = true;
  await join.tick();
  expect(accessPoint.opening).toBeUndefined();
});

it('closes later what a former process left open while the access point does not answer', async () => {
  const { accessPoint, clock, open } = await started();
  await open('guest');
  accessPoint.answers = false;
  const next = new FakeNetworkJoin(accessPoint, { clock, tickMs: 3_600_000 });
  onTestFinished(() => next.stop());
  await next.start();
  await expect(next.open({ activationId: 'act-2', method: 'wps', deadline: clock.now() + 1 })).rejects.toMatchObject({
    code: 'unavailable',
  });
  accessPoint.answers = true;
  await next.tick();
  expect(accessPoint.opening).toBeUndefined();
});

it('closes what was opened before an error came', async () => {
  const { join, accessPoint, open } = await started();
  const opens = accessPoint.open.bind(accessPoint);
  accessPoint.open = async (opening) => {
    await opens(opening);
    throw new Error('half-way');
  };
  await expect(open('guest')).rejects.toThrow('half-way');
  expect(accessPoint.opening).toBeUndefined();
  await join.close('act-1');
});

it.each([
  ['wps-succeeded', 'success'],
  ['wps-timed-out', 'wps-ended'],
  ['wps-overlap', 'wps-ended'],
  ['lost', 'lost'],
] as const)('ends the push button on %s', async (kind, because) => {
  const { join, accessPoint, events, open } = await started();
  await open('wps');
  accessPoint.report({ kind });
  await join.tick();
  expect(accessPoint.opening).toBeUndefined();
  expect(events.at(-1)).toEqual({ activationId: 'act-1', kind: 'closed', because });
  accessPoint.report({ kind });
  expect(events).toHaveLength(kind === 'lost' ? 1 : 2);
});

it('keeps the guest network when a device joins, or when somebody plays with the push button', async () => {
  const { join, accessPoint, events, open } = await started();
  await open('guest');
  accessPoint.report({ kind: 'station-joined', mac: '02:00:00:00:00:01' });
  accessPoint.report({ kind: 'wps-overlap' });
  await join.tick();
  expect(accessPoint.opening).toBeDefined();
  expect(events).toEqual([{ activationId: 'act-1', kind: 'station-joined', mac: '02:00:00:00:00:01' }]);
});
