import { type OnboardingStateName, onboardingStateNames } from '@mqtt2go/protocol';
import { checkStates } from './check-states.js';

/** What can happen to an onboarding. `restart` is the same request made again by the same gateway. */
export const onboardingEventNames = [
  'certified',
  'announced',
  'claimed',
  'device-arrived',
  'named',
  'restart',
  'expire',
  'refuse',
  'cancel',
] as const;
export type OnboardingEventName = (typeof onboardingEventNames)[number];

/** The forward step that the platform owes an onboarding in a state, and resumes after a crash. */
export type Work = 'certify' | 'announce';

/** What the platform hands out and has to take back. */
export type HandOut = 'certificate' | 'admission' | 'announcement' | 'network';

export interface StateRule {
  /** One sentence for the docs. */
  readonly about: string;
  /** An open onboarding holds its gateway, its activation code and a deadline. */
  readonly open: boolean;
  /** Which deadline counts: that of the activation (the standard's 15 minutes), or that of the person's answer. */
  readonly window?: 'activation' | 'naming';
  /** The step owed in this state, where the key mode does not say otherwise (see `workOf`). */
  readonly work?: Work;
  /** Where each event leads. An event that is neither here nor in `repeats` is refused. */
  readonly on: Partial<Record<OnboardingEventName, OnboardingStateName>>;
  /** Events that have had their effect already: heard again, they change nothing and are answered the same. */
  readonly repeats: readonly OnboardingEventName[];
  /**
   * What may be out in this state, counting a step that was begun and whose end was not stored. An
   * undo that finds nothing to take back does no harm; one that is forgotten does.
   */
  readonly mayHold: readonly HandOut[];
}

const ends = { expire: 'expired', refuse: 'refused', cancel: 'cancelled' } as const;

/** The state machine, all of it. Steps fill in what a transition does; none goes where this table does not. */
export const onboardingStates = {
  requested: {
    about: 'The request is taken; a certificate is being issued (in the csr mode: the device is being announced).',
    open: true,
    window: 'activation',
    work: 'certify',
    on: {
      certified: 'certified',
      announced: 'announced',
      claimed: 'claimed',
      'device-arrived': 'awaiting-name',
      restart: 'requested',
      ...ends,
    },
    repeats: [],
    mayHold: ['certificate', 'admission', 'network'],
  },
  certified: {
    about: 'The certificate is issued and let in to the home broker; the device is being announced.',
    open: true,
    window: 'activation',
    work: 'announce',
    on: {
      announced: 'announced',
      claimed: 'claimed',
      'device-arrived': 'awaiting-name',
      restart: 'requested',
      ...ends,
    },
    repeats: ['certified'],
    mayHold: ['certificate', 'admission', 'announcement', 'network'],
  },
  announced: {
    about: 'The Discovery server waits for the device.',
    open: true,
    window: 'activation',
    on: { claimed: 'claimed', 'device-arrived': 'awaiting-name', restart: 'requested', ...ends },
    repeats: ['certified', 'announced'],
    mayHold: ['certificate', 'admission', 'announcement', 'network'],
  },
  claimed: {
    about: 'The device has asked for its broker data at the Discovery server.',
    open: true,
    window: 'activation',
    on: { 'device-arrived': 'awaiting-name', restart: 'requested', ...ends },
    repeats: ['certified', 'announced', 'claimed'],
    mayHold: ['certificate', 'admission', 'announcement', 'network'],
  },
  'awaiting-name': {
    about: 'The device is at its home broker; the person is asked for its name and groups.',
    open: true,
    window: 'naming',
    on: { named: 'active', restart: 'awaiting-name', ...ends },
    repeats: ['certified', 'announced', 'claimed', 'device-arrived'],
    mayHold: ['certificate', 'admission'],
  },
  active: {
    about: 'The device has its name and its topics.',
    open: false,
    on: {},
    repeats: ['certified', 'announced', 'device-arrived', 'named', ...endNames()],
    mayHold: [],
  },
  expired: {
    about: 'Its time ran out; all that was handed out is taken back.',
    open: false,
    on: {},
    repeats: endNames(),
    mayHold: [],
  },
  refused: {
    about: 'A step was refused for good; all that was handed out is taken back.',
    open: false,
    on: {},
    repeats: endNames(),
    mayHold: [],
  },
  cancelled: {
    about: 'Stopped by the operator or replaced by a later request; all that was handed out is taken back.',
    open: false,
    on: {},
    repeats: endNames(),
    mayHold: [],
  },
} as const satisfies Record<OnboardingStateName, StateRule>;

/** Ending what has ended changes nothing. */
function endNames(): readonly OnboardingEventName[] {
  return ['expire', 'refuse', 'cancel'];
}

/** The rule of a state, at its general type. */
export function ruleOf(state: OnboardingStateName): StateRule {
  return onboardingStates[state];
}

/** The states in which an onboarding holds its gateway, its activation code and a deadline. */
export const openStates: readonly OnboardingStateName[] = onboardingStateNames.filter((name) => ruleOf(name).open);

checkStates(onboardingStates, 'requested');
