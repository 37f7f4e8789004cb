/**
 * Every reason for which the platform refuses something, by the code that goes over the wire
 * (`value.reason` of an error report, `code` of a problem+json, the CLI's exit message).
 * Codes are part of the contract: they are added to, never renamed.
 */
export const errorCodes = {
  malformed_message: 'The message is not a JSON object of the expected form.',
  message_too_large: 'The message is larger than this topic allows.',
  invalid_identifier: 'An identifier holds characters other than A-Z a-z 0-9 _ - . or is not 1 to 64 long.',
  unknown_command: 'The command type is not known on this topic.',
  unknown_home: 'No such home or gateway.',
  home_is_moving: 'The home is moving to another broker; try again when it has arrived.',
  home_has_moved: 'The home has moved to another broker and is not served here any more.',
  unknown_move: 'The home has not been moved yet.',
  gateway_not_trusted: 'The home’s broker there does not trust the certificates that the home’s gateway has issued.',
  unknown_device: 'No such device.',
  unknown_onboarding: 'No device is being added under this id.',
  device_type_unknown: 'Neither the request nor the factory record tells the type of the device.',
  device_already_active: 'The device belongs to another home and has to be removed there first.',
  activation_code_wrong: 'The activation code does not belong to this device.',
  activation_code_in_use: 'The activation code is pending for another device.',
  another_device_is_being_added: 'Another device is being added at this gateway; one at a time.',
  activation_expired: 'The activation is older than its 15 minutes.',
  too_many_attempts: 'Too many wrong activation codes, or renewals of a certificate; try again later.',
  wifi_not_set: 'The Wi-Fi of this home is not known to its gateway.',
  wifi_already_handed_out: 'The Wi-Fi was handed out in this activation already; add the device again.',
  csr_required: 'This device is to send a certificate signing request.',
  csr_invalid: 'The certificate signing request cannot be read or its signature does not verify.',
  csr_name_mismatch: 'The certificate signing request names another device.',
  csr_key_mismatch: 'The certificate signing request holds a key that is not the device’s.',
  key_not_accepted: 'The public key is of a type or size that is not accepted.',
  unknown_certificate: 'No such certificate.',
  certificate_revoked: 'The certificate has been revoked.',
  certificate_expired: 'The certificate has expired; the device has to be added again.',
  server_untrusted: 'The certificate of the server is not from the CA that is trusted, or is not for this server.',
  certificate_not_accepted: 'The certificate that was delivered is not for this device, this key, or from this CA.',
  invitation_invalid:
    'The invitation of a gateway is unknown, was used by another gateway, or is older than its 24 hours.',
  own_root: 'The platform has a root CA of its own and cannot become a gateway of another operator’s.',
  forbidden: 'The caller may not do this.',
  conflict: 'The request contradicts what is stored.',
  unavailable: 'A service that is needed does not answer; the request can be repeated.',
  timeout: 'The answer did not come in time; the request can be repeated.',
  unknown_gateway: 'No such gateway was invited.',
  not_enrolled: 'The gateway is not enrolled at a cloud.',
  configuration_invalid: 'A setting is missing or wrong.',
  port_in_use: 'A port that is needed is taken by another program.',
  data_folder_locked: 'The data folder is in use by another process.',
  gateway_name_taken: 'Another gateway in this network is called MQTT2GO.local.',
  plugin_incompatible: 'The plugin is made for another version of the plugin API.',
  plugin_failed: 'The plugin could not be loaded or started.',
  internal: 'Something unexpected went wrong; the logs tell more.',
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** True for a string that is one of the published codes. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorCodes, value);
}

/**
 * The root of everything that domain code throws on purpose. An edge (HTTP, MQTT, CLI) turns it into
 * a problem+json, an error report or an exit code; anything else that is thrown is a defect.
 */
export class Mqtt2goError extends Error {
  override readonly name: string = 'Mqtt2goError';
  readonly code: ErrorCode;

  /**
   * @param code one of {@link errorCodes}
   * @param detail what exactly was wrong and what to do about it; the code's own text by default
   */
  constructor(code: ErrorCode, detail: string = errorCodes[code], options?: ErrorOptions) {
    super(detail, options);
    this.code = code;
  }
}

/** The same error if it is one of ours, else `internal` with the original as its cause. */
export function toMqtt2goError(error: unknown): Mqtt2goError {
  return error instanceof Mqtt2goError ? error : new Mqtt2goError('internal', undefined, { cause: error });
}
