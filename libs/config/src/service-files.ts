import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { invalidSettings } from './settings.js';

/** A certificate with its chain, and its private key; PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** What a service that runs on its own has in its `MQTT2GO_TLS_DIR`. */
export interface ServiceFiles {
  /** PEM: the CA of the services, and of the brokers' doors for them. */
  readonly servicesCa: string;
  /** The service's own. */
  readonly service: Identity;
}

/**
 * Reads `services-ca.crt` and `services/<service>.{crt,key}`.
 * @throws Mqtt2goError `configuration_invalid` naming the file that cannot be read
 */
export async function readServiceFiles(tlsDir: string, service: string): Promise<ServiceFiles> {
  const [servicesCa, identity] = await Promise.all([
    readTlsFile(tlsDir, 'services-ca.crt'),
    readIdentity(tlsDir, 'services', service),
  ]);
  return { servicesCa, service: identity };
}

/** Reads `<path>.crt` and `<path>.key`. Same errors as {@link readServiceFiles}. */
export async function readIdentity(tlsDir: string, ...path: readonly string[]): Promise<Identity> {
  const file = join(...path);
  const [cert, key] = await Promise.all([readTlsFile(tlsDir, `${file}.crt`), readTlsFile(tlsDir, `${file}.key`)]);
  return { cert, key };
}

/** Same errors as {@link readServiceFiles}. */
export async function readTlsFile(tlsDir: string, file: string): Promise<string> {
  try {
    return await readFile(join(tlsDir, file), 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Mqtt2goError('configuration_invalid', `MQTT2GO_TLS_DIR: ${reason}`, { cause });
  }
}

/**
 * The key-encryption key of a service that cannot do without.
 * @throws Mqtt2goError `configuration_invalid`
 */
export function requireEncryptionKey({
  encryptionKey,
}: {
  readonly encryptionKey: Uint8Array<ArrayBuffer> | undefined;
}): Uint8Array<ArrayBuffer> {
  if (encryptionKey === undefined) {
    throw invalidSettings([
      'neither MQTT2GO_KEY nor MQTT2GO_KEY_FILE is set; one of them has to give 32 bytes in base64',
    ]);
  }
  return encryptionKey;
}
