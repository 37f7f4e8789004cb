import { Mqtt2goError } from './errors.js';
import { deviceType, identifier } from './identifiers.js';

/** What the label on a device says, as a number to type in or as a QR code to scan. */
export interface DeviceLabel {
  readonly deviceId: string;
  readonly activationCode: string;
  readonly deviceType: string;
}

const form = /^mqtt2go:([^?&=]*)\?code=([^?&=]*)&type=([^?&=]*)$/;

/**
 * The content of the QR code: `mqtt2go:<device_id>?code=<activation_code>&type=<device_type>`.
 * @throws Mqtt2goError `invalid_identifier`
 */
export function buildLabel(label: DeviceLabel): string {
  const problem = problemOf(label);
  if (problem !== undefined) throw new Mqtt2goError('invalid_identifier', problem);
  return `mqtt2go:${label.deviceId}?code=${label.activationCode}&type=${label.deviceType}`;
}

/**
 * Reads what {@link buildLabel} writes, and nothing else.
 * @throws Mqtt2goError `malformed_message` for another form, `invalid_identifier`
 */
export function parseLabel(content: string): DeviceLabel {
  const [, deviceId, activationCode, type] = form.exec(content) ?? [];
  if (deviceId === undefined || activationCode === undefined || type === undefined) {
    throw new Mqtt2goError(
      'malformed_message',
      'A label reads mqtt2go:<device_id>?code=<activation_code>&type=<device_type>.',
    );
  }
  const label = { deviceId, activationCode, deviceType: type };
  const problem = problemOf(label);
  if (problem !== undefined) throw new Mqtt2goError('invalid_identifier', problem);
  return label;
}

function problemOf(label: DeviceLabel): string | undefined {
  if (!identifier.safeParse(label.deviceId).success) return 'The label’s device id is not an identifier.';
  if (!identifier.safeParse(label.activationCode).success) return 'The label’s activation code is not an identifier.';
  if (!deviceType.safeParse(label.deviceType).success) return 'The label’s device type is not one.';
  return undefined;
}
