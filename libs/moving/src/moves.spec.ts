import { moveStateNames, type MoveStateName, Mqtt2goError, type MoveStepName } from '@mqtt2go/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkMoves, type MoveEventName, moveEventNames, moveRule, moveStates, nextMoveState } from './moves.js';
import { type HomeStanding, nextStanding, standingRule } from './standings.js';

const to = { host: 'cloud.example', port: 8883 };
const moveId = '00000000-0000-4000-8000-000000000001';

/** What the mover does in each state, in its order, and what it hears when all of it was done. */
const work: Readonly<
  Record<string, { steps: (readonly ['source' | 'target', MoveStepName])[]; event: MoveEventName }>
> = {
  requested: { steps: [], event: 'checked' },
  freezing: { steps: [['source', 'freeze']], event: 'frozen' },
  copying: { steps: [['target', 'receive']], event: 'copied' },
  admitting: {
    steps: [
      ['source', 'freeze'],
      ['target', 'prepare'],
    ],
    event: 'admitted',
  },
  'handing-over': {
    steps: [
      ['target', 'take'],
      ['source', 'drain'],
    ],
    event: 'handed-over',
  },
  telling: { steps: [['source', 'release']], event: 'told' },
  'rolling-back': {
    steps: [
      ['source', 'thaw'],
      ['target', 'discard'],
    ],
    event: 'undone',
  },
};

interface World {
  state: MoveStateName;
  source: HomeStanding | undefined;
  target: HomeStanding | undefined;
}

/** One thing that happens: so many steps of the work of this state are done before the mover is killed, fails or goes on. */
const happening = fc.record({
  done: fc.nat(2),
  next: fc.constantFrom('killed', 'fails', 'goes on', 'finds a difference'),
});

function happen(world: World, { done, next }: { done: number; next: string }): void {
  const todo = work[world.state];
  if (todo === undefined) return;
  const complete = next === 'goes on' || next === 'finds a difference';
  for (const [side, step] of todo.steps.slice(0, complete ? todo.steps.length : done)) {
    const change = nextStanding(world[side], step, moveId, to);
    if (change.outcome === 'changed') world[side] = change.to;
    if (change.outcome === 'gone') world[side] = undefined;
  }
  const event = { killed: undefined, fails: 'fail', 'goes on': todo.event, 'finds a difference': 'changed' }[next];
  const state = event === undefined ? undefined : nextMoveState(world.state, event as MoveEventName);
  if (state !== undefined) world.state = state;
}

const starts = fc.record({
  target: fc.constantFrom<HomeStanding | undefined>(undefined, {
    standing: 'moved',
    moveId: '00000000-0000-4000-8000-000000000009',
    movedTo: { host: 'MQTT2GO.local', port: 8883 },
  }),
  happenings: fc.array(happening, { maxLength: 40 }),
});

describe('a move', () => {
  it('never has two sides that take changes, nor one that serves nobody, wherever it is killed', () => {
    fc.assert(
      fc.property(starts, ({ target, happenings }) => {
        const world: World = {
          state: 'requested',
          source: { standing: 'here', moveId: undefined, movedTo: undefined },
          target,
        };
        for (const one of happenings) {
          happen(world, one);
          const standings = [world.source?.standing, world.target?.standing].filter((name) => name !== undefined);
          expect(standings.filter((name) => standingRule(name).acceptsChanges).length, world.state).toBeLessThan(2);
          expect(
            standings.some((name) => standingRule(name).serves === 'everybody'),
            world.state,
          ).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('ends moved or rolled back, never in between, once nothing kills it any more', () => {
    fc.assert(
      fc.property(starts, ({ target, happenings }) => {
        const world: World = {
          state: 'requested',
          source: { standing: 'here', moveId: undefined, movedTo: undefined },
          target,
        };
        for (const one of happenings) happen(world, one);
        for (let more = 0; more < moveStateNames.length; more += 1) happen(world, { done: 0, next: 'goes on' });
        if (world.state === 'moved') {
          expect([world.source?.standing, world.target?.standing]).toStrictEqual(['moved', 'here']);
        } else {
          expect(world.state).toBe('rolled-back');
          expect([world.source?.standing, world.target?.standing]).toStrictEqual(['here', target?.standing]);
          expect(world.target?.movedTo).toStrictEqual(target?.movedTo);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('cannot be undone once it was decided', () => {
    for (const name of ['handing-over', 'telling', 'moved'] as const) {
      expect(moveRule(name).canFail).toBe(false);
      expect(nextMoveState(name, 'fail')).toBeUndefined();
    }
  });

  it('has a table that is refused when it is broken', () => {
    const broken = (name: MoveStateName, on: Partial<Record<MoveEventName, MoveStateName>>) => () =>
      checkMoves({ ...moveStates, [name]: { ...moveStates[name], on } });
    expect(broken('moved', { fail: 'requested' })).toThrow('comes back');
    expect(broken('telling', {})).toThrow('telling is open and has no way out');
    expect(broken('telling', { told: 'moved', fail: 'rolling-back' })).toThrow('comes back');
    expect(broken('copying', { copied: 'admitting' })).toThrow('copying');
    expect(() => checkMoves(moveStates)).not.toThrow();
  });

  it('knows no event that leads nowhere', () => {
    const used = new Set(moveStateNames.flatMap((name) => Object.keys(moveRule(name).on)));
    expect([...used].sort()).toStrictEqual([...moveEventNames].sort());
    expect(() => nextStanding(undefined, 'drain', moveId, to)).toThrow(Mqtt2goError);
  });
});
