import type { Principal, PrincipalKey } from '@mqtt2go/access';

/**
 * A broker's copy of who may come in and do what. The database is the truth and this is a cache:
 * it may be lost with the broker at any time and is then rebuilt by {@link replaceAll}.
 */
export abstract class BrokerAdmin {
  /**
   * Adds or replaces principals. Resolves when the broker acts by them, in live sessions too.
   * A changed certificate or password closes the sessions that used the old one.
   * @throws Mqtt2goError `unavailable` when the broker does not confirm in time; safe to repeat
   */
  abstract put(principals: readonly Principal[]): Promise<void>;

  /** Removes principals and closes their live sessions. Unknown keys are fine. Same errors as {@link put}. */
  abstract remove(keys: readonly PrincipalKey[]): Promise<void>;

  /** Makes the copy equal to `principals`, closing sessions of all others (services excepted). */
  abstract replaceAll(principals: AsyncIterable<Principal> | Iterable<Principal>): Promise<void>;

  /** PEM trust anchors for client certificates (manufacturers' CAs, on the activation broker). In force for new connections when it resolves. */
  abstract setTrustAnchors(certificates: readonly string[]): Promise<void>;

  /** Calls `rebuild` each time the broker is found without its copy (first connection included). Returns the way to stop. */
  abstract onCopyLost(rebuild: () => Promise<void>): () => void;

  /** How many principals this process has found to be wrong in the copy, and put right; for a metric. */
  repairs(): number {
    return 0;
  }

  /** @throws Mqtt2goError `unavailable` while the broker cannot be reached */
  checkHealth(): void {
    // An adapter without a connection of its own has none to lose.
  }
}
