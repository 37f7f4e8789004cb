import { type ErrorCode, errorCodes, type Mqtt2goError, type ProblemDetails } from '@mqtt2go/protocol';

/** RFC 9457. */
export const problemContentType = 'application/problem+json';

/** What HTTP calls a refusal; those that are not here are our own fault (500). */
const statuses: Partial<Record<ErrorCode, number>> = {
  malformed_message: 400,
  invalid_identifier: 400,
  forbidden: 403,
  invitation_invalid: 403,
  csr_invalid: 400,
  key_not_accepted: 400,
  unknown_home: 404,
  unknown_gateway: 404,
  not_enrolled: 404,
  unknown_command: 404,
  unknown_device: 404,
  unknown_move: 404,
  unknown_onboarding: 404,
  activation_code_in_use: 409,
  conflict: 409,
  home_is_moving: 409,
  activation_expired: 410,
  message_too_large: 413,
  too_many_attempts: 429,
  unavailable: 503,
  timeout: 504,
};

export function statusOf(code: ErrorCode): number {
  return statuses[code] ?? 500;
}

/** The problem+json of an error. `status` where HTTP has a finer word than the code (405, 415). */
export function problemOf(error: Mqtt2goError, status: number = statusOf(error.code)): ProblemDetails {
  return {
    type: `urn:mqtt2go:error:${error.code}`,
    title: errorCodes[error.code],
    status,
    // What went wrong inside is for the logs.
    ...(error.code === 'internal' ? {} : { detail: error.message }),
    code: error.code,
  };
}
