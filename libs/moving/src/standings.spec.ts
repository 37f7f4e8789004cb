import { homeStandingNames, Mqtt2goError, moveStepNames, type MoveStepName } from '@mqtt2go/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HomeStanding, homeStandings, nextStanding, requireChangeable, standingRule } from './standings.js';

const to = { host: 'cloud.example', port: 8883 };
const first = '00000000-0000-4000-8000-000000000001';
const second = '00000000-0000-4000-8000-000000000002';

/** What becomes of a home by steps that may be refused. */
function after(
  start: HomeStanding | undefined,
  steps: readonly (readonly [MoveStepName, string])[],
): HomeStanding | undefined {
  let current = start;
  for (const [step, moveId] of steps) {
    try {
      const change = nextStanding(current, step, moveId, to);
      if (change.outcome === 'changed') current = change.to;
      if (change.outcome === 'gone') current = undefined;
    } catch (error) {
      if (!(error instanceof Mqtt2goError)) throw error;
    }
  }
  return current;
}

const here: HomeStanding = { standing: 'here', moveId: undefined, movedTo: undefined };
const step = fc.tuple(fc.constantFrom(...moveStepNames), fc.constantFrom(first, second));

describe('how a home stands', () => {
  it('leaves by the steps of one move, and takes no changes from the first of them on', () => {
    const leaving = after(here, [['freeze', first]]);
    expect(leaving).toMatchObject({ standing: 'leaving', moveId: first });
    expect(after(leaving, [['drain', first]])).toStrictEqual({ standing: 'draining', moveId: first, movedTo: to });
    const moved = after(leaving, [
      ['drain', first],
      ['release', first],
    ]);
    expect(moved).toMatchObject({ standing: 'moved', movedTo: to });
    for (const { standing } of [leaving, moved].filter((one) => one !== undefined)) {
      expect(() => requireChangeable(standing)).toThrow(Mqtt2goError);
    }
  });

  it('is given back by no other move than the one that has it', () => {
    const leaving = after(here, [['freeze', first]]);
    for (const other of ['thaw', 'drain', 'freeze'] as const) {
      expect(() => nextStanding(leaving, other, second, to)).toThrow(new Mqtt2goError('home_is_moving').message);
    }
    expect(nextStanding(leaving, 'thaw', first)).toMatchObject({ outcome: 'changed', to: { standing: 'here' } });
  });

  it('that has left comes back by a move only, and then by all of its steps', () => {
    const moved: HomeStanding = { standing: 'moved', moveId: first, movedTo: to };
    for (const tried of ['thaw', 'take', 'prepare', 'freeze'] as const) {
      expect(() => nextStanding(moved, tried, first), tried).toThrow(Mqtt2goError);
    }
    const back = after(moved, [
      ['receive', second],
      ['prepare', second],
      ['take', second],
    ]);
    expect(back).toStrictEqual({ standing: 'here', moveId: second, movedTo: undefined });
  });

  it('that was received and is discarded goes back to what it was', () => {
    expect(
      after(undefined, [
        ['receive', first],
        ['prepare', first],
        ['discard', first],
      ]),
    ).toBeUndefined();
    const moved: HomeStanding = { standing: 'moved', moveId: first, movedTo: to };
    expect(
      after(moved, [
        ['receive', second],
        ['discard', second],
      ]),
    ).toMatchObject({ standing: 'moved', movedTo: to });
  });

  it('is left alone by the discarding of a move that never reached it, and keeps what it took', () => {
    const live: HomeStanding[] = [
      here,
      { standing: 'here', moveId: second, movedTo: undefined },
      { standing: 'leaving', moveId: second, movedTo: undefined },
      { standing: 'arriving', moveId: second, movedTo: undefined },
    ];
    for (const one of live) expect(nextStanding(one, 'discard', first)).toStrictEqual({ outcome: 'unchanged' });
    const taken: HomeStanding = { standing: 'here', moveId: first, movedTo: undefined };
    expect(() => nextStanding(taken, 'discard', first)).toThrow(new Mqtt2goError('conflict').message);
  });

  it('is the same after a step that is taken twice', () => {
    fc.assert(
      fc.property(
        fc.option(fc.constant(here), { nil: undefined }),
        fc.array(step, { maxLength: 12 }),
        step,
        (start, steps, last) => {
          const once = after(start, [...steps, last]);
          expect(after(once, [last])).toStrictEqual(once);
        },
      ),
    );
  });

  it('is never taken away by a step of a move that is not the one under way', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const before = after(here, steps);
        if (before === undefined || before.standing === 'here' || before.standing === 'moved') return;
        const other = before.moveId === first ? second : first;
        for (const name of moveStepNames) expect(after(before, [[name, other]])).toStrictEqual(before);
      }),
    );
  });

  it('takes changes in one standing only', () => {
    expect(homeStandingNames.filter((name) => standingRule(name).acceptsChanges)).toStrictEqual(['here']);
    expect(homeStandings.moved.serves).toBe('told');
  });
});
