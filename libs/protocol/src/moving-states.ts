/** How a home stands with a platform while, and after, it moves to another one. */
export const homeStandingNames = ['here', 'leaving', 'draining', 'moved', 'arriving', 'prepared'] as const;
export type HomeStandingName = (typeof homeStandingNames)[number];

/** What a move does to the standing of a home, on either side. */
export const moveStepNames = ['freeze', 'thaw', 'drain', 'release', 'receive', 'prepare', 'take', 'discard'] as const;
export type MoveStepName = (typeof moveStepNames)[number];

/** The states of one move, as its coordinator stores them. */
export const moveStateNames = [
  'requested',
  'freezing',
  'copying',
  'admitting',
  'handing-over',
  'telling',
  'moved',
  'rolling-back',
  'rolled-back',
] as const;
export type MoveStateName = (typeof moveStateNames)[number];
