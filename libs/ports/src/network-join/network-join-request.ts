import { identifier, Mqtt2goError } from '@mqtt2go/protocol';
import type { NetworkJoinRequest } from './network-join.js';
import { SecretText } from './secret-text.js';

/** Checks the form of a request; nothing that passes can end a line of anybody's protocol or configuration file. */
export function checkNetworkJoinRequest(request: NetworkJoinRequest): void {
  if (!identifier.safeParse(request.activationId).success) throw new Mqtt2goError('invalid_identifier');
  if (!Number.isSafeInteger(request.deadline)) {
    throw new Mqtt2goError('malformed_message', 'The deadline is not a time in milliseconds.');
  }
  if (request.ssid !== undefined && !isSsid(request.ssid)) {
    throw new Mqtt2goError(
      'malformed_message',
      'The name of the guest network is not 1 to 31 bytes, or has control characters. Choose another.',
    );
  }
  if (request.passphrase !== undefined && !isPassphrase(request.passphrase.reveal())) {
    throw new Mqtt2goError(
      'malformed_message',
      'The password of the guest network is not 8 to 63 printable ASCII characters. Choose another, or leave it out.',
    );
  }
}

/** 1 to 31 bytes of UTF-8 without control characters (Rev 2.0 devices keep no 32nd). */
export function isSsid(text: string): boolean {
  const bytes = new TextEncoder().encode(text).length;
  return bytes >= 1 && bytes <= 31 && !/[\p{Cc}\p{Surrogate}\u2028\u2029]/u.test(text);
}

/** As WPA2 and WPA3 both take it: 8 to 63 printable ASCII characters. */
export function isPassphrase(text: string): boolean {
  return /^[\x20-\x7e]{8,63}$/.test(text);
}

const letters = 'abcdefghjkmnpqrstuvwxyz23456789A';

/** 80 random bits as 16 characters without those that look alike; short enough for the 19 bytes of Rev 2.0. */
export function randomPassphrase(): SecretText {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return new SecretText(Array.from(bytes, (byte) => letters.charAt(byte % letters.length)).join(''));
}
