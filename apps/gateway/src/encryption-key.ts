import { access, rm } from 'node:fs/promises';
import type { PlatformConfig } from '@mqtt2go/config';
import { readOrCreateKeyFile } from '@mqtt2go/pki';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { DataFolder } from './data-folder.js';

/**
 * The key-encryption key in base64: the configuration's, or one of our own in the data folder, made on the first start. It is
 * never made anew when there is a database whose secrets it would not open.
 * @throws Mqtt2goError `configuration_invalid` when it is lost, with what to do
 */
export async function openEncryptionKey(config: PlatformConfig, folder: DataFolder): Promise<string> {
  if (config.encryptionKey !== undefined) return Buffer.from(config.encryptionKey).toString('base64');
  const file = folder.join('secrets', 'encryption.key');
  const hasDatabase = config.databaseUrl === undefined && (await isThere(folder.join('postgres', 'cluster')));
  if (hasDatabase && !(await isThere(file))) throw lost(file, 'is missing');
  try {
    return await readOrCreateKeyFile(file);
  } catch (error) {
    if (!(error instanceof Mqtt2goError)) throw error;
    if (hasDatabase || config.databaseUrl !== undefined) throw lost(file, 'does not hold a key any more');
    // Nothing has been encrypted with it yet.
    await rm(file);
    return readOrCreateKeyFile(file);
  }
}

function lost(file: string, how: string): Mqtt2goError {
  return new Mqtt2goError(
    'configuration_invalid',
    `The encryption key ${file} ${how}. Put it back from your backup. Without it the CA's keys in the database are lost: ` +
      'then start with a new data folder, and add all devices and apps again.',
  );
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
