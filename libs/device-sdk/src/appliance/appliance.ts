/** What became of a command. */
export interface Obeyed {
  /** The value of the command_response: `"ok"` where there is nothing richer to say. */
  readonly answer: string | Record<string, unknown>;
  /** Whether {@link Appliance.settings} are others now: they are stored and reported at once. */
  readonly changed: boolean;
}

/** The thing itself behind the protocol: a socket, a lamp, a sensor. */
export abstract class Appliance {
  /** What is to survive a power loss; a plain JSON object. */
  abstract readonly settings: Readonly<Record<string, unknown>>;
  /** Puts the appliance back to what it was before the power went. Whatever makes no sense is left out. */
  abstract restore(settings: Readonly<Record<string, unknown>>): void;
  /** @throws Mqtt2goError `unknown_command` or `malformed_message`; the sender is told the code */
  abstract obey(commandType: string, value: unknown): Obeyed;
  /** The value of its periodic report. */
  abstract report(): Readonly<Record<string, unknown>>;
}
