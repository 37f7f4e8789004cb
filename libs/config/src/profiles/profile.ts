/** A way to run the platform. A profile chooses adapters and nothing else. */
export interface Profile {
  readonly name: string;
  /** Where the home's broker is. */
  readonly homeBroker: 'remote' | 'local';
  /**
   * Whether devices find the platform through a Discovery server, with a REST side and an activation port of its own. If
   * not, they come to the port of the home broker, and provisioning tells the activation desk over the service bus.
   */
  readonly discovery: boolean;
  /** What the servers' certificates name besides the public host. */
  readonly hostNames: readonly string[];
  /** The plugins of a gateway whose configuration names none. */
  readonly plugins: readonly string[];
}
