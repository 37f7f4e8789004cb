import { setTimeout as sleep } from 'node:timers/promises';
import { type ErrorCode, Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import pRetry from 'p-retry';
import type { DeviceProblem } from './device-events.js';

/** How long a device waits between attempts: doubled each time up to `maxMs`, and jitter of up to the same again. */
export interface BackOff {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Refusals that no repetition changes. All others may be over a while later. */
const final: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'malformed_message',
  'message_too_large',
  'invalid_identifier',
  'unknown_command',
  'unknown_device',
  'activation_code_wrong',
  'csr_invalid',
  'csr_name_mismatch',
  'csr_key_mismatch',
  'key_not_accepted',
  'certificate_revoked',
  'certificate_not_accepted',
  'server_untrusted',
  'configuration_invalid',
]);

/** True if it makes no sense for the device to try again. */
export function isFinal(error: unknown): boolean {
  return !(error instanceof Mqtt2goError) || final.has(error.code);
}

/**
 * How long to wait after the `failures`th failure in a row (1, 2, ...), in milliseconds. The jitter is a share of the wait,
 * also of the longest: devices that lost their broker in the same moment do not come back to it in the same moment.
 * @param random uniform in [0, 1)
 */
export function waitMs(failures: number, { minMs, maxMs }: BackOff, random: () => number): number {
  return Math.min(minMs * 2 ** (failures - 1), maxMs) * (1 + random());
}

export interface Retrying {
  readonly backOff: BackOff;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Told of each failure, with the wait before the next attempt. */
  readonly onProblem: (problem: DeviceProblem) => void;
  /** Whether an error ends it; {@link isFinal} by default. */
  readonly ends?: (error: unknown) => boolean;
}

/** Does `work` until it succeeds, fails for good, or `signal` is aborted (then it rejects with its reason). */
export function retrying<T>(
  work: () => Promise<T>,
  { backOff, random, signal, onProblem, ends = isFinal }: Retrying,
): Promise<T> {
  return pRetry(work, {
    retries: Number.POSITIVE_INFINITY,
    // Its own waits have no jitter left when they are longest.
    minTimeout: 0,
    signal,
    shouldRetry: ({ error }) => !ends(error),
    onFailedAttempt: async ({ error, attemptNumber }) => {
      if (signal.aborted || ends(error)) return;
      const retryInMs = waitMs(attemptNumber, backOff, random);
      onProblem({ error: toMqtt2goError(error), retryInMs });
      await pause(retryInMs, signal);
    },
  });
}

/** Resolves after `ms`; rejects with the reason of `signal`. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
