import type { MoveStateName } from '@mqtt2go/protocol';
import type { Logger } from 'pino';
import type { Sides } from './move-steps.js';
import type { Move } from './moves-repository.js';
import type { Side } from './side.js';

export interface MoverTimes {
  /** From the request to the point of no return. */
  readonly deadlineMs: number;
  /** How long devices are waited for before the old broker is shut to them. */
  readonly tellingMs: number;
  /** Between two groups of devices that are told. */
  readonly betweenBatchesMs: number;
  /** Devices that are on their way at a time; 100 at most. */
  readonly batchSize: number;
  /** How often it is looked for devices that have come after the end of a move. */
  readonly latecomersMs: number;
}

const usualTimes: MoverTimes = {
  deadlineMs: 10 * 60_000,
  tellingMs: 5 * 60_000,
  betweenBatchesMs: 50,
  batchSize: 32,
  latecomersMs: 60_000,
};

export class MoverSettings {
  readonly times: MoverTimes;

  constructor(
    /** The home of this gateway. */
    readonly homeId: string,
    readonly own: Side,
    readonly cloud: Side,
    readonly log: Logger,
    /** Called after each state of a move was stored, before anything further is done. */
    readonly onMoved: (state: MoveStateName, moveId: string) => Promise<void> | void = () => undefined,
    times: Partial<MoverTimes> = {},
  ) {
    this.times = { ...usualTimes, ...times };
  }
}

export function sidesOf({ own, cloud }: MoverSettings, { to }: Move): Sides {
  return to === 'remote' ? { source: own, target: cloud, cloud } : { source: cloud, target: own, cloud };
}
