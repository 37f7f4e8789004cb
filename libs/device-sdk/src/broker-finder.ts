/** A broker that may activate the device. */
export interface FoundBroker {
  /** `local`: MQTT2GO.local answered in the home's network. `discovery`: the Discovery server's broker. */
  readonly where: 'local' | 'discovery';
  readonly host: string;
  readonly port: number;
}

/**
 * Looks for MQTT2GO.local in the home's network (step 3); undefined when nothing answers. Given in,
 * because how to look (mDNS) is the business of the profile with a gateway in the house.
 */
export type LocalLookup = (signal: AbortSignal) => Promise<{ host: string; port: number } | undefined>;

/** The remote-broker profile: there is nothing local to be found. */
export const noLocalBroker: LocalLookup = async () => undefined;

/** Finds the broker to be activated at: the local one first, else the Discovery server's. */
export class BrokerFinder {
  constructor(readonly lookup: LocalLookup = noLocalBroker) {}

  /** @param discovery the Discovery server's broker, as pre-loaded in the device */
  async find(discovery: { host: string; port: number }, signal: AbortSignal): Promise<FoundBroker> {
    const local = await this.lookup(signal);
    return local === undefined
      ? { where: 'discovery', host: discovery.host, port: discovery.port }
      : { where: 'local', host: local.host, port: local.port };
  }
}
