/**
 * What is known of the name in the network.
 * - `off`: nothing is told, for `reason`; not started, stopped, or there is no network to tell it in
 * - `claiming`: it is being found out whether somebody else has the name
 * - `advertised`: the name is this gateway's; `rivals` are addresses of others that want it
 * - `name-taken`: another has the name, at `holders` as far as that is known; this gateway waits until it is free
 */
export type AdvertiserState =
  | { readonly kind: 'off'; readonly reason: string }
  | { readonly kind: 'claiming' }
  | { readonly kind: 'advertised'; readonly rivals: readonly string[] }
  | { readonly kind: 'name-taken'; readonly holders: readonly string[] };

/**
 * Tells the house's network where the home's broker is, so that devices find it as MQTT2GO.local. That name is one
 * machine's: it is asked for before it is used, defended while it is, given back at the end, and never taken from
 * another gateway. One that comes second tells nothing, says so, and takes the name when the first says goodbye.
 */
export abstract class BrokerAdvertiser {
  abstract readonly state: AdvertiserState;

  /**
   * Begins to look after the name, and goes on until {@link stop}: networks may come, go and change meanwhile. Resolves at
   * once; what becomes of it is in {@link state}.
   * @param port of the home's broker
   */
  abstract start(port: number): Promise<void>;

  /** Says goodbye. Resolves when it has been said, or there is nothing to be said. */
  abstract stop(): Promise<void>;

  /** Told of each new state. */
  abstract onChange(listener: (state: AdvertiserState) => void): () => void;
}
