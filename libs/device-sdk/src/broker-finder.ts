/** A broker that may activate the device. */
export interface FoundBroker {
  /** `local`: MQTT2GO.local answered in the home's network. `discovery`: the Discovery server's broker. */
  readonly where: 'local' | 'discovery';
  readonly host: string;
  readonly port: number;
  /** MQTT2GO.local was left out, as asked for. */
  readonly passedOver?: boolean;
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

  /**
   * @param discovery the Discovery server's broker, as pre-loaded in the device
   * @param passesOver leaves MQTT2GO.local out, which the device has just been to in vain
   */
  async find(discovery: { host: string; port: number }, signal: AbortSignal, passesOver = false): Promise<FoundBroker> {
    const local = passesOver ? undefined : await this.findLocal(signal);
    if (local !== undefined) return { where: 'local', host: local.host, port: local.port };
    return {
      where: 'discovery',
      host: discovery.host,
      port: discovery.port,
      ...(passesOver ? { passedOver: true } : {}),
    };
  }

  /** MQTT2GO.local, if it answers; a lookup that fails has found nothing. */
  async findLocal(signal: AbortSignal): Promise<{ host: string; port: number } | undefined> {
    try {
      return await this.lookup(signal);
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }
}
