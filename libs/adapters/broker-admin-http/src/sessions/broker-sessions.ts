import type { EndedSessions } from '../copy/principal-copy.js';

/** A session as its broker lists it. */
export interface ListedSession {
  /** The name that it came with, as the broker asks by it. */
  readonly name: string;
  readonly clientId: string;
  /** When it connected, by the broker's clock: Unix time in milliseconds. */
  readonly connectedAtMs: number;
}

/** The management side of a clustered broker: ends sessions, on whatever node they are. */
export abstract class BrokerSessions {
  /**
   * Ends connections, and removes what is kept for them if it says so. Nothing to end is fine.
   * @throws Mqtt2goError `unavailable`
   */
  abstract end(sessions: EndedSessions): Promise<void>;

  /** All that are connected; brokers list a new one after some seconds only. @throws Mqtt2goError `unavailable` */
  abstract list(): AsyncIterable<ListedSession>;

  /** Ends the connection of one that was listed. @throws Mqtt2goError `unavailable` */
  abstract endListed(session: ListedSession): Promise<void>;

  /** @throws Mqtt2goError `unavailable` */
  abstract checkReachable(): Promise<void>;

  abstract close(): void;
}
