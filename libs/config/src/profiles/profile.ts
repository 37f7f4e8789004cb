/** A way to run the platform. A profile chooses adapters and nothing else. */
export interface Profile {
  readonly name: string;
  /** Where the home's broker is. */
  readonly homeBroker: 'remote' | 'local';
  /** Whether devices find the platform through the Discovery server. */
  readonly discovery: boolean;
}
