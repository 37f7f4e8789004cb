import { type MoveStateName, moveStateNames } from '@mqtt2go/protocol';

/** What can happen to a move. `changed`: the home is not on both sides the same and has to be copied again. */
export const moveEventNames = [
  'checked',
  'frozen',
  'copied',
  'changed',
  'admitted',
  'handed-over',
  'told',
  'fail',
  'undone',
] as const;
export type MoveEventName = (typeof moveEventNames)[number];

export interface MoveRule {
  /** One sentence for the docs and for whoever watches. */
  readonly about: string;
  /** True until the move has ended. */
  readonly open: boolean;
  /** Before the point of no return: the home is the source's, and the move can be undone. */
  readonly canFail: boolean;
  readonly on: Partial<Record<MoveEventName, MoveStateName>>;
}

/**
 * One move, all of it. The step from `admitting` to `handing-over` is the decision: a single row in the coordinator's
 * database. Before it the home is the source's, after it the target's, whatever dies in between.
 */
export const moveStates = {
  requested: {
    about: 'Both sides are asked whether the home can move.',
    open: true,
    canFail: true,
    on: { checked: 'freezing', fail: 'rolled-back' },
  },
  freezing: {
    about: 'The old side stops taking changes of the home; devices and apps go on there.',
    open: true,
    canFail: true,
    on: { frozen: 'copying', fail: 'rolling-back' },
  },
  copying: {
    about: 'The home is copied: groups, devices, names, certificates, apps.',
    open: true,
    canFail: true,
    on: { copied: 'admitting', fail: 'rolling-back' },
  },
  admitting: {
    about: 'The new broker lets everybody in, and both sides are compared.',
    open: true,
    canFail: true,
    on: { changed: 'copying', admitted: 'handing-over', fail: 'rolling-back' },
  },
  'handing-over': {
    about: 'The home is the new side’s: it takes over, the old one lets go.',
    open: true,
    canFail: false,
    on: { 'handed-over': 'telling' },
  },
  telling: {
    about: 'The devices are told where their broker is now, and arrive there.',
    open: true,
    canFail: false,
    on: { told: 'moved' },
  },
  moved: { about: 'The home has moved.', open: false, canFail: false, on: {} },
  'rolling-back': {
    about: 'The move is being undone: the old side goes on, the copy is thrown away.',
    open: true,
    canFail: false,
    on: { undone: 'rolled-back' },
  },
  'rolled-back': { about: 'The home stayed where it was.', open: false, canFail: false, on: {} },
} as const satisfies Record<MoveStateName, MoveRule>;

export function moveRule(state: MoveStateName): MoveRule {
  return moveStates[state];
}

/**
 * Where an event leads; undefined if it does not fit, which of a driver that was overtaken by another it does not.
 */
export function nextMoveState(state: MoveStateName, event: MoveEventName): MoveStateName | undefined {
  return moveRule(state).on[event];
}

/**
 * Proves the table on import: every state is reachable, ended ones have no way out, what can fail ends on `fail` without
 * passing the point of no return, and nothing comes back from behind it.
 * @throws Error naming the state
 */
export function checkMoves(states: Readonly<Record<MoveStateName, MoveRule>>): void {
  const reached = reachable(states, 'requested');
  for (const name of moveStateNames) {
    const rule = states[name];
    const wrong = (what: string): never => {
      throw new Error(`move state ${name} ${what}`);
    };
    if (!reached.has(name)) wrong('cannot be reached');
    const targets = Object.values(rule.on);
    if (rule.open === (targets.length === 0))
      wrong(rule.open ? 'is open and has no way out' : 'has ended and has a way out');
    if (rule.canFail !== (rule.on.fail !== undefined)) wrong('says otherwise than its table whether it can fail');
    const onward = reachable(states, name);
    if (rule.canFail && !onward.has('rolled-back')) wrong('cannot be undone');
    if (rule.open && !rule.canFail && name !== 'rolling-back' && onward.has('rolled-back')) wrong('comes back');
    if (name === 'rolling-back' && onward.has('moved')) wrong('moves a home after all');
  }
}

function reachable(states: Readonly<Record<MoveStateName, MoveRule>>, from: MoveStateName): Set<MoveStateName> {
  const seen = new Set([from]);
  for (const name of seen) for (const target of Object.values(states[name].on)) seen.add(target);
  return seen;
}

checkMoves(moveStates);
