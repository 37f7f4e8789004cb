import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { Mqtt2goError } from '@mqtt2go/protocol';

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;

/** 32 bytes, as such or in base64. */
export type EncryptionKey = string | Uint8Array;

/**
 * Encrypts secrets for the database: AES-256-GCM, as `version (1) | nonce (12) | ciphertext | tag (16)`. The name under
 * which a secret is kept is authenticated with it, so that one row's secret cannot be put in another's place.
 */
export class SecretBox {
  readonly #key: KeyObject;

  /**
   * @param key 32 bytes, as such or in base64
   * @throws Mqtt2goError `configuration_invalid`
   */
  constructor(key: EncryptionKey) {
    this.#key = createSecretKey(readEncryptionKey(key, 'The encryption key'));
  }

  seal(name: string, secret: Uint8Array | string): Uint8Array<ArrayBuffer> {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: tagBytes });
    const head = Buffer.of(version);
    cipher.setAAD(Buffer.concat([head, Buffer.from(name, 'utf8')]));
    const content = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret;
    return new Uint8Array(Buffer.concat([head, nonce, cipher.update(content), cipher.final(), cipher.getAuthTag()]));
  }

  /** @throws Mqtt2goError `configuration_invalid` when it was sealed with another key or name, or changed since */
  open(name: string, sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    try {
      if (sealed[0] !== version || sealed.length < 1 + nonceBytes + tagBytes) throw new Error('not a sealed secret');
      const nonce = sealed.subarray(1, 1 + nonceBytes);
      const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: tagBytes });
      decipher.setAAD(Buffer.concat([sealed.subarray(0, 1), Buffer.from(name, 'utf8')]));
      decipher.setAuthTag(sealed.subarray(-tagBytes));
      const content = decipher.update(sealed.subarray(1 + nonceBytes, -tagBytes));
      return new Uint8Array(Buffer.concat([content, decipher.final()]));
    } catch (cause) {
      throw new Mqtt2goError(
        'configuration_invalid',
        `The stored secret "${name}" does not open with this encryption key (MQTT2GO_KEY or MQTT2GO_KEY_FILE).`,
        { cause },
      );
    }
  }

  /** As {@link open}, of a text. */
  openText(name: string, sealed: Uint8Array): string {
    return Buffer.from(this.open(name, sealed)).toString('utf8');
  }
}

/** A new key for a {@link SecretBox}: 32 random bytes in base64. */
export function createEncryptionKey(): string {
  return randomBytes(keyBytes).toString('base64');
}

/** @throws Mqtt2goError `configuration_invalid`; the key itself is never told */
export function readEncryptionKey(key: EncryptionKey, what: string): Uint8Array {
  const bytes = typeof key === 'string' ? fromBase64(key.trim()) : key;
  if (bytes?.length !== keyBytes) {
    throw new Mqtt2goError('configuration_invalid', `${what} has to be ${keyBytes} bytes in base64.`);
  }
  return bytes;
}

function fromBase64(text: string): Uint8Array | undefined {
  return /^[A-Za-z0-9+/]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}
