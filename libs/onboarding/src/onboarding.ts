import type {
  ErrorCode,
  KeyMode,
  Mqtt2goError,
  NetworkMethod,
  OnboardingStateName,
  Outbound,
  ReplyPath,
} from '@mqtt2go/protocol';

/** One device's way into a home, as it is stored. Times are Unix time in milliseconds, UTC. */
export interface Onboarding {
  /** UUID; the key under which every other service remembers its part. */
  readonly onboardingId: string;
  readonly homeId: string;
  readonly gatewayId: string;
  readonly deviceId: string;
  readonly deviceType: string;
  readonly keyMode: KeyMode;
  /** How the gateway lets the device into the Wi-Fi; not at all where there is no gateway in the house. */
  readonly network: NetworkMethod | undefined;
  /** Kept while open only: a device is announced again after a crash, and afterwards nobody needs it. */
  readonly activationCode: string | undefined;
  /** SHA-256 of the request as it came; tells a message delivered twice from a device added twice. */
  readonly requestDigest: string;
  readonly state: OnboardingStateName;
  /** Grows by one with each stored change; the guard of every compare-and-set. */
  readonly version: number;
  /** When the window was last started. */
  readonly requestedAtMs: number;
  readonly deadlineMs: number;
  /**
   * True once this onboarding's certificate is issued and let in to the home broker. Only then can a device at the
   * home broker be the one that is being added, and not the same device still at home elsewhere.
   */
  readonly certified: boolean;
  /** True if the device, though it has arrived, was announced once more because the controller asked again. */
  readonly announcedAgain: boolean;
  /** Where the controller is answered, in the form and revision it asked in. */
  readonly controller: ReplyPath;
  /** Where the device is answered on its home's broker; known from its first question on. */
  readonly device: ReplyPath | undefined;
  readonly deviceName: string | undefined;
  readonly groupIds: readonly string[];
  readonly topics: readonly string[];
  /** Why it was refused or ended. */
  readonly reason: ErrorCode | undefined;
}

/** What the controller asks for in step 1, completed with what the factory record tells. */
export interface ActivationRequest {
  /** For the onboarding that may come of it. */
  readonly onboardingId: string;
  readonly homeId: string;
  readonly gatewayId: string;
  readonly deviceId: string;
  readonly deviceType: string;
  readonly keyMode: KeyMode;
  readonly activationCode: string;
  readonly network?: NetworkMethod | undefined;
  readonly requestDigest: string;
  readonly reply: ReplyPath;
}

export interface Restart {
  readonly kind: 'restart';
  readonly requestDigest: string;
  readonly reply: ReplyPath;
}

export interface DeviceArrived {
  readonly kind: 'device-arrived';
  readonly reply: ReplyPath;
}

export interface Naming {
  readonly homeId: string;
  readonly gatewayId: string;
  readonly deviceName: string;
  readonly groupIds: readonly string[];
}

/** The person has named the device, and its topics are assigned and in force. */
export interface Named extends Naming {
  readonly kind: 'named';
  readonly topics: readonly string[];
  readonly reply: ReplyPath;
}

export interface Refuse {
  readonly kind: 'refuse';
  readonly error: Mqtt2goError;
}

export type OnboardingEvent =
  | { readonly kind: 'certified' }
  | { readonly kind: 'announced' }
  | { readonly kind: 'claimed' }
  | DeviceArrived
  | Named
  | Restart
  | { readonly kind: 'expire' }
  | Refuse
  | { readonly kind: 'cancel' };

/**
 * What has to happen in another service because of a transition, once it is stored. Each may be
 * carried out more than once.
 */
export type Effect =
  | { readonly kind: 'settle-certificate'; readonly outcome: 'completed' | 'abandoned' }
  | { readonly kind: 'withdraw-device' }
  /** `announcedUntilMs`: the latest end that was announced; an announcement of it that is still on its way is void. */
  | { readonly kind: 'withdraw-announcement'; readonly announcedUntilMs: number }
  | { readonly kind: 'announce-again' }
  | { readonly kind: 'close-network' };

/** A message to a controller or device; sent after the commit. */
export interface Reply {
  readonly to: ReplyPath;
  readonly message: Outbound;
}

/** What a step comes to. */
export interface StepResult {
  /** The very same object when nothing is to be stored. */
  readonly onboarding: Onboarding;
  readonly effects: readonly Effect[];
  readonly replies: readonly Reply[];
  /** Why the asker gets no better answer; there may be a change to store all the same (it was overdue, say). */
  readonly refusal?: Mqtt2goError;
}

/** A step: pure, so that it can be run any number of times and in any order. */
export type Step<E extends OnboardingEvent> = (onboarding: Onboarding, event: E, nowMs: number) => StepResult;
