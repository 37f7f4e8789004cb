/** CONNACK return codes of MQTT 3.1.1, 3.2.2.3. */
export const identifierRejected = 2;
export const serverUnavailable = 3;
export const badUserNameOrPassword = 4;
export const notAuthorized = 5;

/** Why a client was turned away, each with its count in the broker's stats. */
export const noRefusals = {
  certificate_untrusted: 0,
  certificate_expired: 0,
  certificate_without_device_id: 0,
  certificate_missing: 0,
  certificate_unknown: 0,
  certificate_not_current: 0,
  certificate_of_another_home: 0,
  client_id_invalid: 0,
  password_wrong: 0,
  activation_code_wrong: 0,
  service_unknown: 0,
  too_many_connections: 0,
  too_many_sign_ins: 0,
  access_copy_incomplete: 0,
};
export type RefusalReason = keyof typeof noRefusals;

export interface Refusal {
  readonly outcome: 'refused';
  readonly reason: RefusalReason;
  /** In the CONNACK. */
  readonly returnCode: number;
}

export function refuse(reason: RefusalReason, returnCode: number = notAuthorized): Refusal {
  return { outcome: 'refused', reason, returnCode };
}
