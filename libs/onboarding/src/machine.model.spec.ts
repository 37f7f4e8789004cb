import { Mqtt2goError, type OnboardingStateName, onboardingStateNames } from '@mqtt2go/protocol';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { activationWindowMs, namingWindowMs } from './deadlines.js';
import { arrival, naming, request, startMs } from './fixtures.js';
import { advance, workOf } from './machine.js';
import type { Onboarding, OnboardingEvent, StepResult } from './onboarding.js';
import { onboardingStates, ruleOf } from './states.js';
import { activate } from './steps/step-01-activate.js';

/** What the world around the machine looks like: a store, and neighbours that count what they are asked. */
class World {
  nowMs = startMs;
  newest: Onboarding | undefined;
  readonly rows = new Map<string, Onboarding>();
  readonly issued = new Map<string, number>();
  readonly settled = new Map<string, string[]>();
  readonly undone = new Map<string, Set<string>>();
  private requests = 0;

  constructor(private readonly keyMode: Onboarding['keyMode']) {}

  request(activationCode: string, digest: string): void {
    const onboardingId = `00000000-0000-4000-8000-${String(this.requests++).padStart(12, '0')}`;
    const asked = { ...request, onboardingId, activationCode, keyMode: this.keyMode, requestDigest: digest };
    const activation = activate(this.newest, asked, this.nowMs);
    if (activation.kind === 'refused') throw new Error('the same gateway is never refused');
    if (activation.kind === 'go-on') return this.store(this.newest, activation.result);
    if (activation.before) this.store(this.newest, activation.before);
    this.newest = activation.onboarding;
    this.rows.set(onboardingId, activation.onboarding);
  }

  happen(event: OnboardingEvent): void {
    if (this.newest) this.store(this.newest, advance(this.newest, event, this.nowMs));
  }

  /** The driver: does the owed step; killed before the news is stored, the step was done all the same. */
  work(killed: boolean): void {
    const { newest } = this;
    if (!newest) return;
    const work = workOf(newest);
    if (work === undefined) return;
    if (work === 'certify') this.issue(newest.onboardingId);
    if (!killed) this.happen({ kind: work === 'certify' ? 'certified' : 'announced' });
  }

  claim(killed: boolean): void {
    if (!this.newest) return;
    if (this.keyMode === 'csr' && ruleOf(this.newest.state).open) this.issue(this.newest.onboardingId);
    if (!killed) this.happen({ kind: 'claimed' });
  }

  private issue(onboardingId: string): void {
    // The authority is idempotent by the onboarding's id: it is asked again, and issues once.
    this.issued.set(onboardingId, 1);
  }

  private store(before: Onboarding | undefined, result: StepResult): void {
    const after = result.onboarding;
    if (!before) throw new Error('nothing to change');
    if (after === before) {
      expect(result.effects).toEqual([]);
      return;
    }
    expect(after.version).toBe(before.version + 1);
    expect(after.onboardingId).toBe(before.onboardingId);
    const allowed: OnboardingStateName[] = [...Object.values(ruleOf(before.state).on), before.state];
    expect(allowed).toContain(after.state);
    if (!ruleOf(before.state).open) expect(after.state).toBe(before.state);
    this.rows.set(after.onboardingId, after);
    if (this.newest?.onboardingId === after.onboardingId) this.newest = after;
    for (const effect of result.effects) {
      if (effect.kind === 'settle-certificate') {
        this.settled.set(after.onboardingId, [...(this.settled.get(after.onboardingId) ?? []), effect.outcome]);
      }
      const undone = this.undone.get(after.onboardingId) ?? new Set();
      this.undone.set(after.onboardingId, undone.add(effect.kind));
    }
  }

  check(): void {
    const open = [...this.rows.values()].filter((row) => ruleOf(row.state).open);
    expect(open.length).toBeLessThanOrEqual(1);
    for (const row of this.rows.values()) {
      const rule = ruleOf(row.state);
      expect(Object.hasOwn(onboardingStates, row.state)).toBe(true);
      expect(row.activationCode === undefined).toBe(!rule.open);
      const outcome = rule.open ? [] : [row.state === 'active' ? 'completed' : 'abandoned'];
      expect(this.settled.get(row.onboardingId) ?? []).toEqual(outcome);
      expect(this.issued.get(row.onboardingId) ?? 0).toBeLessThanOrEqual(1);
      if (row.state === 'active') expect(row.topics).toEqual(naming.topics);
      if (!rule.open && row.state !== 'active' && this.issued.has(row.onboardingId)) {
        expect(this.undone.get(row.onboardingId)).toContain('withdraw-device');
      }
      if (row.state === 'active' || row.state === 'awaiting-name') {
        expect(this.issued.get(row.onboardingId)).toBe(1);
      }
    }
  }
}

type Move = (world: World) => void;

const moves: fc.Arbitrary<[string, Move]> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom('CODE-1', 'CODE-2'), fc.constantFrom('digest-1', 'digest-2'))
      .map(([code, digest]): [string, Move] => [`request ${code} ${digest}`, (world) => world.request(code, digest)]),
  },
  {
    weight: 6,
    arbitrary: fc.boolean().map((killed): [string, Move] => [`work killed=${killed}`, (world) => world.work(killed)]),
  },
  {
    weight: 4,
    arbitrary: fc.boolean().map((killed): [string, Move] => [`claim killed=${killed}`, (world) => world.claim(killed)]),
  },
  { weight: 4, arbitrary: fc.constant<[string, Move]>(['arrive', (world) => arrive(world)]) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('Kettle', 'Toaster', 'a\nb')
      .map((deviceName): [string, Move] => [
        `name ${JSON.stringify(deviceName)}`,
        (world) => world.happen({ ...naming, deviceName }),
      ]),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<[string, Move]>(
      ['expire', (world) => world.happen({ kind: 'expire' })],
      ['cancel', (world) => world.happen({ kind: 'cancel' })],
      ['refuse', (world) => world.happen({ kind: 'refuse', error: new Mqtt2goError('forbidden') })],
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(1, 6_000, activationWindowMs, namingWindowMs).map((ms): [string, Move] => [
      `${ms} ms pass`,
      (world) => {
        world.nowMs += ms;
      },
    ]),
  },
);

/** A device comes to its home's broker only with a certificate that this onboarding has issued and let in. */
function arrive(world: World): void {
  const { newest } = world;
  if (newest && world.issued.has(newest.onboardingId)) world.happen(arrival);
}

it.each(['existing-key', 'csr', 'server-key'] as const)(
  'holds its promises in any order of events, deaths and times (%s)',
  (keyMode) => {
    const seen = new Set<OnboardingStateName>();
    fc.assert(
      fc.property(fc.array(moves, { maxLength: 60 }), (sequence) => {
        const world = new World(keyMode);
        for (const [, move] of sequence) {
          move(world);
          world.check();
          for (const row of world.rows.values()) seen.add(row.state);
        }
      }),
      { numRuns: 1_500 },
    );
    // A platform that certifies only what the device brings passes over `certified`.
    const reachable = onboardingStateNames.filter((name) => keyMode !== 'csr' || name !== 'certified');
    expect([...seen].sort()).toEqual([...reachable].sort());
  },
);

it('always comes to an end when nothing happens any more', () => {
  fc.assert(
    fc.property(fc.array(moves, { maxLength: 40 }), (sequence) => {
      const world = new World('existing-key');
      for (const [, move] of sequence) move(world);
      world.nowMs += namingWindowMs;
      world.happen({ kind: 'expire' });
      if (world.newest) expect(ruleOf(world.newest.state).open).toBe(false);
      world.check();
    }),
  );
});
