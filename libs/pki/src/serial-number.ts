import { randomFillSync } from 'node:crypto';

/**
 * A new certificate serial number, upper-case hex: 16 octets, 126 of its bits random. The first octet is 0x40 to
 * 0x7f, so that the number is positive and never shorter, however it is printed (RFC 5280 4.1.2.2).
 */
export function createSerialNumber(): string {
  const bytes = randomFillSync(Buffer.alloc(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex').toUpperCase();
}
