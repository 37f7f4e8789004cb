import type { ErrorCode } from '@mqtt2go/protocol';

/** How a command ends; the numbers above 63 are those of sysexits. */
export const exitCodes = {
  done: 0,
  refused: 1,
  usage: 2,
  unavailable: 69,
  defect: 70,
  interrupted: 130,
} as const;

/** For `--help`. */
export const exitCodeHelp = `Exit codes:
  0    done
  1    refused, or failed; the line on stderr tells the code and what to do
  2    wrong options or arguments
  69   the platform (or a device) does not answer
  70   a defect of this program
  130  interrupted`;

const notThere: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unavailable', 'timeout']);

export function exitCodeOf(code: ErrorCode): number {
  if (notThere.has(code)) return exitCodes.unavailable;
  return code === 'internal' ? exitCodes.defect : exitCodes.refused;
}

/** What to do next, where the message does not say it. */
const advice: Partial<Record<ErrorCode, string>> = {
  unknown_device: 'Mint the device first (mqtt2go factory mint) or import its record (mqtt2go factory import).',
  unknown_home: 'Make a controller for this home and gateway first: mqtt2go controller credentials.',
  activation_code_wrong: 'Compare the code with the label of the device.',
  activation_code_in_use: 'The code belongs to a device that is being added; every device has its own.',
  another_device_is_being_added: 'Wait until that one is added, at most 15 minutes, and repeat.',
  device_already_active: 'Remove the device from the home that it is in.',
  activation_expired: 'Add the device again; it has 15 minutes from then on.',
  too_many_attempts: 'Wait a minute and repeat.',
  server_untrusted: 'Nothing was said to this server. Is the address right, and is ca.crt that of this platform?',
  certificate_not_accepted: 'Add the device again; if it stays like this, the platform is not the one that minted it.',
  device_type_unknown: 'Say what it is with --device-type.',
  wifi_not_set: 'Tell the gateway with mqtt2go wifi set.',
  unknown_gateway: 'mqtt2go gateway list names those there are.',
  not_enrolled: 'Enrol the gateway at a cloud first: mqtt2go gateway invite, in the cloud.',
  home_is_moving: 'See how it goes: mqtt2go home status, on the gateway.',
  forbidden: 'Are these the credentials for this home and platform?',
};

/** The advice for a code, or an empty string. */
export function adviceFor(code: ErrorCode): string {
  return advice[code] ?? '';
}
