import {
  type ErrorCode,
  type HomeStandingName,
  homeStandingNames,
  Mqtt2goError,
  type MoveStepName,
} from '@mqtt2go/protocol';

/** What a platform stores of a home's standing. */
export interface HomeStanding {
  readonly standing: HomeStandingName;
  /** The move that has brought it there; none for a home that has never moved. */
  readonly moveId: string | undefined;
  /** Where the home's broker is by now; while `draining` and `moved`, and kept while it may come back. */
  readonly movedTo: BrokerAddress | undefined;
}

export interface BrokerAddress {
  /** IP address or host name, no scheme. */
  readonly host: string;
  readonly port: number;
}

export interface StandingRule {
  /** One sentence for the docs. */
  readonly about: string;
  /** Whether homes, groups, controllers and devices may be changed here. */
  readonly acceptsChanges: boolean;
  /** Whom the home's broker serves. `told`: who comes is told where to go, and reaches nothing else. */
  readonly serves: 'everybody' | 'told';
  /** Where each step of a move leads. */
  readonly on: Partial<Record<MoveStepName, HomeStandingName | 'former'>>;
  /** Steps of the same move that have had their effect already. */
  readonly repeats: readonly MoveStepName[];
  /** What a step is refused with that is neither in `on` nor in `repeats`. */
  readonly refusal: ErrorCode;
}

/**
 * The standings of a home on one platform. Changes are accepted in `here` alone, and of the two platforms of a move at
 * most one has the home there: it leaves `here` before it is copied, and comes to be `here` on the other side after the
 * move was decided.
 */
export const homeStandings = {
  here: {
    about: 'The home lives here.',
    acceptsChanges: true,
    serves: 'everybody',
    on: { freeze: 'leaving' },
    repeats: ['take', 'thaw'],
    refusal: 'conflict',
  },
  leaving: {
    about: 'It is being copied to the other side, and served as before; changes wait.',
    acceptsChanges: false,
    serves: 'everybody',
    on: { thaw: 'here', drain: 'draining' },
    repeats: ['freeze'],
    refusal: 'home_is_moving',
  },
  draining: {
    about:
      'It is the other side’s. Devices get what was on its way to them, and are told where to go; what is said here is passed on.',
    acceptsChanges: false,
    serves: 'everybody',
    on: { release: 'moved' },
    repeats: ['drain'],
    refusal: 'home_has_moved',
  },
  moved: {
    about: 'It is the other side’s. Whoever comes is told where to go and reaches nothing else.',
    acceptsChanges: false,
    serves: 'told',
    on: { receive: 'arriving' },
    repeats: ['drain', 'release', 'discard'],
    refusal: 'home_has_moved',
  },
  arriving: {
    about: 'It is being copied from the other side.',
    acceptsChanges: false,
    serves: 'told',
    on: { prepare: 'prepared', discard: 'former' },
    repeats: ['receive'],
    refusal: 'home_is_moving',
  },
  prepared: {
    about: 'All of it is here and its broker lets everybody in; nobody has been told yet.',
    acceptsChanges: false,
    serves: 'everybody',
    on: { take: 'here', discard: 'former' },
    repeats: ['receive', 'prepare'],
    refusal: 'home_is_moving',
  },
} as const satisfies Record<HomeStandingName, StandingRule>;

export function standingRule(standing: HomeStandingName): StandingRule {
  return homeStandings[standing];
}

/** What a step makes of a home. `gone`: nothing is left of it here. */
export type StandingChange =
  | { readonly outcome: 'changed'; readonly to: HomeStanding }
  | { readonly outcome: 'unchanged' }
  | { readonly outcome: 'gone' };

/**
 * Takes a step of a move. Pure; a step that comes again changes nothing.
 * @param current undefined where the home is not known
 * @param to where the home goes; for `drain`
 * @throws Mqtt2goError `home_is_moving`, `home_has_moved`, `conflict`; `unknown_home` where there is nothing to take from
 */
export function nextStanding(
  current: HomeStanding | undefined,
  step: MoveStepName,
  moveId: string,
  to?: BrokerAddress,
): StandingChange {
  if (current === undefined) return stepOfUnknown(step, moveId);
  const rule = standingRule(current.standing);
  const own = current.moveId === moveId;
  // Of a move that never got here, nothing is left to discard.
  if (step === 'discard' && !own) return { outcome: 'unchanged' };
  if (rule.repeats.includes(step) && (own || step === 'thaw')) return { outcome: 'unchanged' };
  const target = rule.on[step];
  // A home that is in no move takes up the next one; all else is of the move that is under way.
  const begins = step === 'freeze' || step === 'receive';
  if (target === undefined || !(begins || own)) throw new Mqtt2goError(rule.refusal);
  if (target === 'former') {
    if (current.movedTo === undefined) return { outcome: 'gone' };
    return { outcome: 'changed', to: { ...current, standing: 'moved' } };
  }
  const movedTo = step === 'take' ? undefined : step === 'drain' ? to : current.movedTo;
  if (step === 'drain' && to === undefined) throw new Mqtt2goError('malformed_message', 'drain takes an address.');
  return { outcome: 'changed', to: { standing: target, moveId, movedTo } };
}

function stepOfUnknown(step: MoveStepName, moveId: string): StandingChange {
  if (step === 'receive') return { outcome: 'changed', to: { standing: 'arriving', moveId, movedTo: undefined } };
  if (step === 'thaw' || step === 'discard') return { outcome: 'unchanged' };
  throw new Mqtt2goError('unknown_home');
}

/** @throws Mqtt2goError `home_is_moving` or `home_has_moved` unless changes are accepted */
export function requireChangeable(standing: HomeStandingName): void {
  const rule = standingRule(standing);
  if (!rule.acceptsChanges)
    throw new Mqtt2goError(rule.refusal === 'home_has_moved' ? 'home_has_moved' : 'home_is_moving');
}

export function isHomeStanding(value: string): value is HomeStandingName {
  return homeStandingNames.some((name) => name === value);
}
