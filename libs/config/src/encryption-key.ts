import { readFileSync } from 'node:fs';
import { text, invalidSettings, wrongSetting } from './settings.js';

export const encryptionKeySettings = {
  MQTT2GO_KEY: text('the key-encryption key: 32 bytes in base64').optional(),
  MQTT2GO_KEY_FILE: text('the path of a file with the key-encryption key: 32 bytes in base64').optional(),
};

/**
 * The key-encryption key from its variable or file; undefined when neither is set.
 * @throws Mqtt2goError `configuration_invalid`
 */
export function readEncryptionKey(settings: {
  MQTT2GO_KEY?: string;
  MQTT2GO_KEY_FILE?: string;
}): Uint8Array<ArrayBuffer> | undefined {
  const { MQTT2GO_KEY: key, MQTT2GO_KEY_FILE: file } = settings;
  if (key !== undefined && file !== undefined) {
    throw invalidSettings(['MQTT2GO_KEY and MQTT2GO_KEY_FILE are both set; set one of them']);
  }
  if (key !== undefined) {
    return decodeKey(key) ?? fail(wrongSetting('MQTT2GO_KEY', key, '32 bytes in base64'));
  }
  if (file === undefined) {
    return undefined;
  }
  return decodeKey(readKeyFile(file)) ?? fail(`MQTT2GO_KEY_FILE names ${file}, which does not hold 32 bytes in base64`);
}

/** 32 bytes from base64 with or without white space around it, or undefined. */
export function decodeKey(base64: string): Uint8Array<ArrayBuffer> | undefined {
  const trimmed = base64.trim();
  if (!/^[A-Za-z0-9+/]{43}=?$/.test(trimmed)) {
    return undefined;
  }
  const bytes = Buffer.from(trimmed, 'base64');
  return bytes.length === 32 ? new Uint8Array(bytes) : undefined;
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail(`MQTT2GO_KEY_FILE names ${file}, which cannot be read: ${reason}`);
  }
}

function fail(line: string): never {
  throw invalidSettings([line]);
}
