import { SecretBox } from '@mqtt2go/pki';
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/**
 * Recognises activation codes without keeping them: codes are short, so a plain hash of one could be guessed by
 * whoever gets the table. The key is derived from the platform's encryption key.
 */
export class ActivationCodes {
  private readonly key: Buffer;
  private readonly box: SecretBox;

  /** @param encryptionKey the platform's key-encryption key, 32 bytes */
  constructor(encryptionKey: Uint8Array) {
    const info = 'mqtt2go/provisioning/activation-code/v1';
    this.box = new SecretBox(Buffer.from(encryptionKey).toString('base64'));
    this.key = Buffer.from(hkdfSync('sha256', encryptionKey, new Uint8Array(0), info, 32));
  }

  /** 32 bytes; another device's equal code gives others. */
  hash(deviceId: string, activationCode: string): Buffer {
    return createHmac('sha256', this.key).update(`${deviceId}\0${activationCode}`).digest();
  }

  /** Readable with the platform's key only, and for this device only. */
  seal(deviceId: string, activationCode: string): Buffer {
    return Buffer.from(this.box.seal(sealName(deviceId), activationCode));
  }

  /** @throws Mqtt2goError `configuration_invalid` when it was sealed with another encryption key */
  open(deviceId: string, sealed: Uint8Array): string {
    return this.box.openText(sealName(deviceId), sealed);
  }

  /** Takes the same time for all wrong codes. */
  matches(hash: Uint8Array, deviceId: string, activationCode: string): boolean {
    return timingSafeEqual(hash, this.hash(deviceId, activationCode));
  }
}

function sealName(deviceId: string): string {
  return `activation-code/${deviceId}`;
}
