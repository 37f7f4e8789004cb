import { type ErrorCode, Mqtt2goError, toMqtt2goError } from '@mqtt2go/protocol';
import pRetry from 'p-retry';
import type { DeviceProblem } from './device-events.js';

/** How long a device waits between attempts: doubled each time, with jitter of up to the same again. */
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
 * Does `work` until it succeeds, fails for good, or `signal` is aborted (then it rejects with its reason).
 * @param onProblem told of each failure, with the wait before the next attempt
 */
export function retrying<T>(
  work: () => Promise<T>,
  backOff: BackOff,
  signal: AbortSignal,
  onProblem: (problem: DeviceProblem) => void,
  ends: (error: unknown) => boolean = isFinal,
): Promise<T> {
  return pRetry(work, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: backOff.minMs,
    maxTimeout: backOff.maxMs,
    factor: 2,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => !ends(error),
    onFailedAttempt: ({ error, retryDelay }) => {
      if (!signal.aborted && !ends(error)) onProblem({ error: toMqtt2goError(error), retryInMs: retryDelay });
    },
  });
}
