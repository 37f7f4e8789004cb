import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/**
 * Recognises activation codes without keeping them: codes are short, so a plain hash of one could be guessed by
 * whoever gets the table. The key is derived from the platform's encryption key.
 */
export class ActivationCodes {
  private readonly key: Buffer;

  /** @param encryptionKey the platform's key-encryption key, 32 bytes */
  constructor(encryptionKey: Uint8Array) {
    const info = 'mqtt2go/provisioning/activation-code/v1';
    this.key = Buffer.from(hkdfSync('sha256', encryptionKey, new Uint8Array(0), info, 32));
  }

  /** 32 bytes; another device's equal code gives others. */
  hash(deviceId: string, activationCode: string): Buffer {
    return createHmac('sha256', this.key).update(`${deviceId}\0${activationCode}`).digest();
  }

  /** Takes the same time for all wrong codes. */
  matches(hash: Uint8Array, deviceId: string, activationCode: string): boolean {
    return timingSafeEqual(hash, this.hash(deviceId, activationCode));
  }
}
