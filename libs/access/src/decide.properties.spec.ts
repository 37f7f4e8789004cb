import { topicMatches } from '@mqtt2go/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide } from './decide.js';
import type { Action, ControllerPrincipal, DevicePrincipal, Principal } from './principals.js';

const context = { broker: 'home', nowMs: 0 } as const;

/** Ids as they are, and as somebody who wants in would choose them. */
const honest = fc.stringMatching(/^[A-Za-z0-9_.-]{1,8}$/);
const hostile = fc.constantFrom(
  '+',
  '#',
  '$SYS',
  '',
  '/',
  'a/b',
  '+/+',
  '..',
  'topics',
  'users',
  'add_device',
  '__proto__',
);
const id = fc.oneof(
  { weight: 4, arbitrary: honest },
  { weight: 1, arbitrary: hostile },
  { weight: 1, arbitrary: fc.string() },
);

/** Few words, so that topics and filters meet. */
const word = fc.constantFrom(
  'home',
  'gw',
  'kitchen',
  'socket',
  'camera',
  'plug',
  'topics',
  'topic',
  'add_device',
  'users',
  '',
  '$SYS',
);
const topic = fc.array(word, { minLength: 1, maxLength: 6 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(fc.oneof(word, fc.constant('+')), { minLength: 1, maxLength: 6 }), fc.constantFrom('', '/#'))
  .map(([levels, end]) => levels.join('/') + end);
const short = fc.constantFrom('home', 'gw', 'kitchen', 'socket', 'camera', 'plug', 'topics');

const deviceOf = (names: fc.Arbitrary<string>): fc.Arbitrary<DevicePrincipal> =>
  fc.record({
    kind: fc.constant('device'),
    id: names,
    homeId: names,
    gatewayId: names,
    deviceType: names,
    certificateSerials: fc.constant([]),
  });
const controllerOf = (names: fc.Arbitrary<string>): fc.Arbitrary<ControllerPrincipal> =>
  fc.record({
    kind: fc.constant('controller'),
    id: names,
    homeId: names,
    gatewayId: names,
    role: fc.constantFrom('administrator', 'family_member', 'guest'),
    password: fc.constant({ algorithm: 'pbkdf2-sha512', iterations: 1, salt: '', hash: '' }),
  });
const action: fc.Arbitrary<Action> = fc.constantFrom('publish', 'subscribe', 'receive');

const bare = (name: string): string[] => name.replace(/^\//, '').split('/');

describe('whatever the ids are', () => {
  it('a device reaches nothing but topics that end in its id or begin with it', () => {
    fc.assert(
      fc.property(deviceOf(id), action, fc.oneof(topic, filter, id), (device, what, where) => {
        if (!decide(device, what, where, context)) return;
        const levels = bare(where);
        const isQuery = levels.length === 2 && levels[0] === device.id && /^topics?$/.test(levels[1] ?? '');
        const isOwn = levels.length === 5 && levels[0] === device.homeId && levels[4] === device.id;
        expect(isQuery || isOwn).toBe(true);
        expect(where.replace(/\/\+\//, '/')).not.toMatch(/[+#$]/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('no topic is reached by two devices with different ids', () => {
    fc.assert(
      fc.property(deviceOf(id), deviceOf(id), fc.oneof(id, fc.constant('+')), (one, other, group) => {
        fc.pre(one.id !== other.id);
        const theirs = [other.homeId, other.gatewayId, group, other.deviceType, other.id].join('/');
        expect(decide(one, 'subscribe', theirs, context)).toBe(false);
        expect(decide(one, 'publish', theirs, context)).toBe(false);
        expect(decide(one, 'subscribe', `${other.id}/topics`, context)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it('a controller reaches nothing outside of its home', () => {
    fc.assert(
      fc.property(controllerOf(id), action, fc.oneof(topic, filter, id), (controller, what, where) => {
        if (!decide(controller, what, where, context)) return;
        expect(bare(where)[0]).toBe(controller.homeId);
        expect(controller.homeId).toMatch(/^[A-Za-z0-9_.-]{1,64}$/);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a filter that is allowed', () => {
  const matching = (principal: Principal, check: (where: string) => void, where: string, wanted: string) => {
    if (topicMatches(wanted, where) && decide(principal, 'subscribe', wanted, context)) check(where);
  };

  it('matches only topics that a device may receive', () => {
    fc.assert(
      fc.property(deviceOf(short), filter, topic, (device, wanted, where) => {
        matching(device, (one) => expect(decide(device, 'receive', one, context)).toBe(true), where, wanted);
      }),
      { numRuns: 20_000 },
    );
  });

  it('matches only topics of the controller’s own home, and of those that it may not receive none is delivered', () => {
    fc.assert(
      fc.property(controllerOf(short), filter, topic, (controller, wanted, where) => {
        const check = (one: string) => {
          const levels = bare(one);
          expect(levels[0]).toBe(controller.homeId);
          const mayReceive = decide(controller, 'receive', one, context);
          if (controller.role === 'guest') expect(mayReceive).toBe(levels[3] === 'socket');
          else if (controller.role === 'family_member') expect(mayReceive).toBe(true);
          else if ([3, 5].includes(levels.length)) expect(mayReceive).toBe(true);
        };
        matching(controller, check, where, wanted);
      }),
      { numRuns: 20_000 },
    );
  });

  it('does so for a family member without any exception', () => {
    fc.assert(
      fc.property(controllerOf(short), filter, topic, (controller, wanted, where) => {
        const member: ControllerPrincipal = { ...controller, role: 'family_member' };
        matching(member, (one) => expect(decide(member, 'receive', one, context)).toBe(true), where, wanted);
      }),
      { numRuns: 20_000 },
    );
  });
});

it('never throws', () => {
  fc.assert(
    fc.property(
      fc.oneof(deviceOf(fc.string()), controllerOf(fc.string())),
      action,
      fc.string({ unit: 'binary' }),
      (principal, what, where) => {
        expect(typeof decide(principal, what, where, context)).toBe('boolean');
      },
    ),
  );
});
