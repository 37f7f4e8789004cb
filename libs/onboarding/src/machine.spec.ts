import { Mqtt2goError, onboardingStateNames } from '@mqtt2go/protocol';
import { describe, expect, it } from 'vitest';
import { activationWindowMs, namingWindowMs, redeliveryMs } from './deadlines.js';
import { after, arrival, inState, naming, request, restartedAt, started, startMs } from './fixtures.js';
import { advance, workOf } from './machine.js';
import type { Onboarding } from './onboarding.js';
import { openStates } from './states.js';
import { activate } from './steps/step-01-activate.js';
import { mayComeByNetwork } from './undo.js';

const minuteMs = 60_000;
const undoAll = [
  { kind: 'settle-certificate', outcome: 'abandoned' },
  { kind: 'withdraw-device' },
  { kind: 'withdraw-announcement', announcedUntilMs: startMs + activationWindowMs },
];

const restartOf = ({ controller }: Onboarding) =>
  ({ kind: 'restart', requestDigest: 'digest-2', reply: controller }) as const;

describe('the good way', () => {
  it('passes all states and tells the controller each', () => {
    const states = [started()];
    const told: string[] = [];
    for (const event of [{ kind: 'certified' }, { kind: 'announced' }, { kind: 'claimed' }, arrival, naming] as const) {
      const result = advance(states.at(-1) ?? started(), event, startMs);
      states.push(result.onboarding);
      for (const reply of result.replies)
        if (reply.message.kind === 'onboarding-progress') told.push(reply.message.state);
    }
    expect(states.map((entry) => entry.state)).toEqual(onboardingStateNames.slice(0, 6));
    expect(told).toEqual(onboardingStateNames.slice(1, 6));
    expect(states.map((entry) => entry.version)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('asks for the name when the device arrives, and withdraws its entry at the Discovery server', () => {
    const result = after([{ kind: 'certified' }, { kind: 'announced' }, { kind: 'claimed' }, arrival]);
    expect(result.effects).toEqual([{ kind: 'withdraw-announcement', announcedUntilMs: startMs + activationWindowMs }]);
    expect(result.replies.map((reply) => [reply.to.topic, reply.message.kind])).toEqual([
      ['/home-1/gw-1/add_device', 'onboarding-progress'],
      ['/home-1/gw-1/add_device', 'rename-requested'],
    ]);
  });

  it('closes the network that was opened for the device when it arrives, and at every other end', () => {
    const close = { kind: 'close-network' };
    const guest = started({ network: 'guest' });
    const withNetwork = (state: Parameters<typeof inState>[0]) => inState(state, guest);
    const arrived = advance(withNetwork('claimed'), arrival, startMs);
    expect(arrived.effects).toContainEqual(close);
    expect(mayComeByNetwork(arrived.onboarding)).toBe(false);
    for (const state of ['requested', 'certified', 'announced', 'claimed'] as const) {
      const onboarding = withNetwork(state);
      expect(mayComeByNetwork(onboarding)).toBe(true);
      const ends = [
        advance(onboarding, { kind: 'cancel' }, startMs),
        advance(onboarding, { kind: 'refuse', error: new Mqtt2goError('key_not_accepted') }, startMs),
        advance(onboarding, { kind: 'expire' }, onboarding.deadlineMs),
      ];
      for (const end of ends) {
        expect(end.effects).toContainEqual(close);
        expect(mayComeByNetwork(end.onboarding)).toBe(false);
      }
      // A restart goes on with it.
      expect(advance(onboarding, restartOf(onboarding), startMs + redeliveryMs).effects).not.toContainEqual(close);
    }
  });

  it('answers both sides when the device is named, and forgets the activation code', () => {
    const result = advance(inState('awaiting-name'), naming, startMs);
    expect(result.effects).toEqual([{ kind: 'settle-certificate', outcome: 'completed' }]);
    expect(result.replies.slice(0, 2)).toEqual([
      { to: arrival.reply, message: { kind: 'device-topics', topics: naming.topics } },
      { to: naming.reply, message: { kind: 'command-done', command: 'rename-device' } },
    ]);
    expect(result.onboarding).toMatchObject({ state: 'active', activationCode: undefined, deviceName: 'Kettle' });
  });

  it('announces before it certifies when the device brings its own key', () => {
    const csr = started({ keyMode: 'csr' });
    expect(workOf(csr)).toBe('announce');
    expect(advance(csr, { kind: 'certified' }, startMs).refusal?.code).toBe('unavailable');
    const done = after([{ kind: 'announced' }, { kind: 'claimed' }, arrival, naming], csr);
    expect(done.onboarding.state).toBe('active');
  });

  it('owes a certificate, then the announcement, then nothing', () => {
    expect(openStates.map((state) => workOf(inState(state)))).toEqual([
      'certify',
      'announce',
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('an event that comes again', () => {
  it.each([
    ['certified', { kind: 'certified' }],
    ['announced', { kind: 'announced' }],
    ['claimed', { kind: 'claimed' }],
  ] as const)('%s changes nothing', (state, event) => {
    const onboarding = inState(state);
    expect(advance(onboarding, event, startMs)).toEqual({ onboarding, effects: [], replies: [] });
  });

  it('asks for the name each time the device asks for its topics', () => {
    const waiting = inState('awaiting-name');
    const result = advance(waiting, arrival, startMs);
    expect(result.onboarding).toBe(waiting);
    expect(result.effects).toEqual([]);
    expect(result.replies.map((reply) => reply.message.kind)).toEqual(['rename-requested']);
  });

  it('gives an active device its topics, on the topic it asks on', () => {
    const reply = { revision: '1.0', topic: '/socket-1/topics' };
    const result = advance(inState('active'), { ...arrival, reply }, startMs);
    expect(result.replies).toEqual([{ to: reply, message: { kind: 'device-topics', topics: naming.topics } }]);
  });

  it('answers the same name the same, and stores another one', () => {
    const active = inState('active');
    const same = advance(active, naming, startMs);
    expect(same.onboarding).toBe(active);
    expect(same.replies.map((reply) => reply.message.kind)).toEqual(['device-topics', 'command-done']);
    const other = advance(active, { ...naming, deviceName: 'Toaster' }, startMs);
    expect(other.onboarding).toMatchObject({ state: 'active', deviceName: 'Toaster', version: active.version + 1 });
    expect(other.effects).toEqual([]);
  });

  it('takes a claim that is faster than the news of the announcement', () => {
    const result = after([{ kind: 'certified' }, { kind: 'claimed' }, { kind: 'announced' }]);
    expect(result.onboarding.state).toBe('claimed');
  });
});

describe('the deadline', () => {
  it('is 15 minutes from the request, however far the onboarding is', () => {
    const onboarding = after([{ kind: 'certified' }], started(), startMs + 7 * minuteMs).onboarding;
    expect(onboarding.deadlineMs).toBe(startMs + activationWindowMs);
  });

  it('is a new one for the person once the device has arrived', () => {
    const result = advance(inState('claimed'), arrival, startMs + minuteMs);
    expect(result.onboarding.deadlineMs).toBe(startMs + minuteMs + namingWindowMs);
  });

  it.each(openStates)('ends an onboarding that is %s, taking back what may be out', (state) => {
    const onboarding = inState(state);
    const result = advance(onboarding, { kind: 'expire' }, onboarding.deadlineMs);
    const announced = state !== 'requested' && state !== 'awaiting-name';
    expect(result.effects).toEqual(announced ? undoAll : undoAll.slice(0, 2));
    expect(result.onboarding).toMatchObject({
      state: 'expired',
      reason: 'activation_expired',
      activationCode: undefined,
    });
    expect(result.replies.map((reply) => reply.message.kind)).toEqual(['onboarding-progress', 'command-refused']);
  });

  it('does nothing a millisecond early', () => {
    const onboarding = inState('announced');
    expect(advance(onboarding, { kind: 'expire' }, onboarding.deadlineMs - 1).onboarding).toBe(onboarding);
  });

  it('comes before whatever else happens to an overdue onboarding', () => {
    const onboarding = inState('announced');
    const result = advance(onboarding, { kind: 'claimed' }, onboarding.deadlineMs);
    expect(result.onboarding.state).toBe('expired');
    expect(result.refusal?.code).toBe('activation_expired');
    expect(result.effects).toEqual(undoAll);
  });
});

describe('ending it', () => {
  it('reports the refusal of a step to the controller and undoes', () => {
    const error = new Mqtt2goError('device_already_active');
    const result = advance(inState('requested'), { kind: 'refuse', error }, startMs);
    expect(result.onboarding).toMatchObject({ state: 'refused', reason: 'device_already_active' });
    expect(result.effects).toEqual(undoAll.slice(0, 2));
    expect(result.replies[1]).toEqual({
      to: request.reply,
      message: { kind: 'command-refused', command: 'activate-device', error },
    });
  });

  it('takes back an announcement that a restart has left behind', () => {
    const again = restartedAt(inState('announced'), startMs + minuteMs);
    expect(again.onboarding.state).toBe('requested');
    expect(advance(again.onboarding, { kind: 'cancel' }, startMs + minuteMs).effects).toEqual([
      ...undoAll.slice(0, 2),
      { kind: 'withdraw-announcement', announcedUntilMs: startMs + minuteMs + activationWindowMs },
    ]);
  });

  it.each(['active', 'expired', 'cancelled'] as const)('changes nothing for one that is %s', (state) => {
    const ended = inState(state);
    for (const event of [{ kind: 'expire' }, { kind: 'cancel' }] as const) {
      expect(advance(ended, event, startMs + namingWindowMs * 2)).toEqual({
        onboarding: ended,
        effects: [],
        replies: [],
      });
    }
  });
});

describe('the same request again', () => {
  it.each(['requested', 'certified', 'announced', 'claimed'] as const)('starts the window anew from %s', (state) => {
    const nowMs = startMs + 10 * minuteMs;
    const result = restartedAt(inState(state), nowMs);
    expect(result.onboarding).toMatchObject({
      onboardingId: request.onboardingId,
      state: 'requested',
      deadlineMs: nowMs + activationWindowMs,
    });
    expect(result.effects).toEqual([]);
  });

  it('keeps a device waiting that has arrived, and announces it once more', () => {
    const result = restartedAt(inState('awaiting-name'), startMs + minuteMs);
    expect(result.onboarding).toMatchObject({ state: 'awaiting-name', announcedAgain: true });
    expect(result.effects).toEqual([{ kind: 'announce-again' }]);
    expect(result.replies.map((reply) => reply.message.kind)).toEqual(['onboarding-progress', 'rename-requested']);
    const back = advance(result.onboarding, arrival, startMs + minuteMs);
    // Both announcements: the second one may be slower than the device.
    const announcedUntilMs = startMs + minuteMs + activationWindowMs;
    expect(back.effects).toEqual([{ kind: 'withdraw-announcement', announcedUntilMs }]);
    expect(advance(back.onboarding, arrival, startMs + minuteMs).effects).toEqual([]);
  });

  it('withdraws the second announcement with the name too', () => {
    const again = restartedAt(inState('awaiting-name'), startMs + minuteMs);
    expect(advance(again.onboarding, naming, startMs + minuteMs).effects).toContainEqual({
      kind: 'withdraw-announcement',
      announcedUntilMs: startMs + minuteMs + activationWindowMs,
    });
  });

  it('is a message delivered twice when it comes at once', () => {
    const onboarding = inState('announced');
    const result = restartedAt(onboarding, startMs + redeliveryMs - 1);
    expect(result.onboarding).toBe(onboarding);
    expect(result.replies.map((reply) => reply.message)).toEqual([
      { kind: 'onboarding-progress', deviceId: 'socket-1', state: 'announced' },
    ]);
  });

  it('is answered on the form that it came on', () => {
    const reply = { revision: '1.0', topic: 'home-1/gw-1/add_device' };
    const result = activate(inState('announced'), { ...request, reply }, startMs + minuteMs);
    expect(result).toMatchObject({
      kind: 'go-on',
      result: { onboarding: { controller: reply }, replies: [{ to: reply }] },
    });
  });
});

describe('a request for a device that has an onboarding', () => {
  const later = { ...request, onboardingId: '5f0c8a52-6d0e-4a6e-9d57-0c1d33f7a002', requestDigest: 'digest-2' };

  it('is refused while another gateway is adding it', () => {
    const result = activate(inState('announced'), { ...later, gatewayId: 'gw-2' }, startMs + minuteMs);
    expect(result).toMatchObject({ kind: 'refused', error: { code: 'conflict' } });
  });

  it('is taken by another gateway when the first one has let its time pass', () => {
    const first = inState('announced');
    const result = activate(first, { ...later, gatewayId: 'gw-2' }, first.deadlineMs);
    expect(result).toMatchObject({ kind: 'start', before: { onboarding: { state: 'expired' }, effects: undoAll } });
  });

  it('replaces the earlier one when it corrects the code, without talking of an end', () => {
    const result = activate(inState('announced'), { ...later, activationCode: 'CODE-2' }, startMs + minuteMs);
    expect(result).toMatchObject({
      kind: 'start',
      onboarding: { onboardingId: later.onboardingId, activationCode: 'CODE-2' },
      before: { onboarding: { state: 'cancelled' }, effects: undoAll, replies: [] },
    });
  });

  it.each(['expired', 'cancelled', 'active'] as const)('begins a new one after one that is %s', (state) => {
    const result = activate(inState(state), later, startMs + minuteMs);
    expect(result).toMatchObject({ kind: 'start', onboarding: { onboardingId: later.onboardingId, version: 1 } });
  });

  it('does not throw out an active device for the very message that brought it in', () => {
    const active = inState('active');
    const soon = activate(active, { ...later, requestDigest: request.requestDigest }, startMs + minuteMs);
    expect(soon).toMatchObject({ kind: 'go-on', result: { onboarding: active, effects: [] } });
    const late = activate(active, { ...later, requestDigest: request.requestDigest }, startMs + activationWindowMs);
    expect(late.kind).toBe('start');
  });
});

describe('naming', () => {
  it.each([
    ['another home', { homeId: 'home-2' }, 'unknown_device'],
    ['another gateway', { gatewayId: 'gw-2' }, 'unknown_device'],
    ['an empty name', { deviceName: '' }, 'malformed_message'],
    ['a name of 65 characters', { deviceName: 'x'.repeat(65) }, 'malformed_message'],
    ['a line feed in the name', { deviceName: 'a\nb' }, 'malformed_message'],
    ['no group', { groupIds: [] }, 'malformed_message'],
    ['a group that widens the topic', { groupIds: ['a/#'] }, 'invalid_identifier'],
  ] as const)('refuses %s', (_what, change, code) => {
    const waiting = inState('awaiting-name');
    const result = advance(waiting, { ...naming, ...change }, startMs);
    expect(result.onboarding).toBe(waiting);
    expect(result.refusal?.code).toBe(code);
  });

  it('takes 64 characters of any script', () => {
    const result = advance(inState('awaiting-name'), { ...naming, deviceName: '💡'.repeat(64) }, startMs);
    expect(result.onboarding.state).toBe('active');
  });

  it.each([
    ['requested', 'conflict'],
    ['claimed', 'conflict'],
    ['expired', 'activation_expired'],
    ['cancelled', 'unknown_device'],
  ] as const)('refuses a device that is %s', (state, code) => {
    expect(advance(inState(state), naming, startMs).refusal?.code).toBe(code);
  });
});

it('never lets a device in by questions alone', () => {
  const announced = after([{ kind: 'announced' }], started({ keyMode: 'csr' })).onboarding;
  expect(advance(announced, arrival, startMs).refusal?.code).toBe('conflict');
  expect(advance(inState('requested'), arrival, startMs).refusal?.code).toBe('unavailable');
  for (const state of ['expired', 'cancelled'] as const) {
    const onboarding: Onboarding = inState(state);
    expect(advance(onboarding, arrival, startMs).onboarding).toBe(onboarding);
  }
});
