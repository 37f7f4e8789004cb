import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SecretFiles } from '@mqtt2go/config';
import { readOrCreateKeyFile, writeFileAtomically } from '@mqtt2go/pki';
import type { Logger } from 'pino';

/** For whoever shares the volume by its group: a container reads its own secrets under a user of its own. */
const groupMode = 0o640;
const passwordBytes = 24;

/**
 * Makes the secrets of a deployment in their files, those that are missing: the key-encryption key, the database
 * password, and the database URL with it.
 * @throws Mqtt2goError `configuration_invalid` when a file holds something else
 */
export async function makeSecrets(files: SecretFiles, log: Logger): Promise<void> {
  const { keyFile, passwordFile, databaseUrlFile } = files;
  if (keyFile !== undefined) {
    const isNew = (await readIfThere(keyFile)) === undefined;
    await readOrCreateKeyFile(keyFile);
    log.info(
      { file: keyFile },
      isNew ? 'the encryption key was made; keep a copy of it' : 'the encryption key is there',
    );
  }
  if (passwordFile === undefined) return;
  const password = await keep(passwordFile, () => randomBytes(passwordBytes).toString('base64url'), log);
  if (databaseUrlFile !== undefined) {
    await writeFileAtomically(databaseUrlFile, `${files.databaseUrl(password)}\n`, groupMode);
  }
}

async function keep(file: string, make: () => string, log: Logger): Promise<string> {
  const existing = await readIfThere(file);
  log.info({ file }, existing === undefined ? 'the database password was made' : 'the database password is there');
  if (existing !== undefined) return existing.trim();
  const secret = make();
  await writeFileAtomically(file, `${secret}\n`, groupMode);
  return secret;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
