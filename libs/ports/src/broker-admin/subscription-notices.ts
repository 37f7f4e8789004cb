/** What a broker tells of a subscription that is in force: whatever it takes from then on is delivered by it. */
export interface SubscriptionNotice {
  /** Undefined if it is no device's. */
  readonly deviceId: string | undefined;
  /** Those that were granted. */
  readonly filters: readonly string[];
}

/**
 * How a kind of broker tells who has subscribed to what, in the same order in which it delivers messages of QoS 1: what comes
 * before a notice was taken by the broker before the subscription. A broker that tells does so of its listener's own
 * subscription, too.
 */
export interface SubscriptionNotices {
  /** The topic filter of the notices. */
  readonly filter: string;
  /** Undefined for what is none. Never throws. */
  read(topic: string, payload: Uint8Array): SubscriptionNotice | undefined;
}
