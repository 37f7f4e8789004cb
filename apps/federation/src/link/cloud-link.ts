import type { z } from 'zod';
import type { LinkContract } from './contract.js';

export interface LinkCallOptions {
  /** For each attempt; 10,000 by default. */
  readonly timeoutMs?: number;
  /** Further attempts after `unavailable` or `timeout`; no other error is tried again. 2 by default. */
  readonly retries?: number;
}

/** A gateway's way to the cloud that it is enrolled at. */
export abstract class CloudLink {
  /**
   * Asks the cloud and gives its checked answer.
   * @throws Mqtt2goError what the cloud refuses with; `unavailable` when it cannot be reached; `timeout`;
   * `malformed_message` when `request` is not what the contract takes; `internal` when the answer is not
   */
  abstract call<I extends z.ZodType, O extends z.ZodType>(
    contract: LinkContract<I, O>,
    request: z.input<I>,
    options?: LinkCallOptions,
  ): Promise<z.output<O>>;
}
