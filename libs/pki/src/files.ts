import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createEncryptionKey, readEncryptionKey } from './secret-box.js';

/** For everybody, or for the platform's own account only. */
export const PUBLIC_FILE_MODE = 0o644;
export const SECRET_FILE_MODE = 0o600;

/** Writes a whole file or nothing, durably; readers see the old content or the new. Makes the folder. */
export async function writeFileAtomically(path: string, content: string, mode: number): Promise<void> {
  const draft = await writeDraft(path, content, mode);
  try {
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * The encryption key in the file (base64, 32 bytes); made there, readable by its owner only, if there is no such file. Two
 * processes that do this at once get the same key.
 * @throws Mqtt2goError `configuration_invalid` when the file holds something else
 */
export async function readOrCreateKeyFile(path: string): Promise<string> {
  const existing = await readIfThere(path);
  if (existing !== undefined) return checked(existing, path);
  const draft = await writeDraft(path, `${createEncryptionKey()}\n`, SECRET_FILE_MODE);
  try {
    // Unlike rename, link fails when the name has been taken meanwhile.
    await link(draft, path).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
    await syncFolder(dirname(path));
  } finally {
    await rm(draft, { force: true });
  }
  return checked(await readFile(path, 'utf8'), path);
}

/** Without it a power cut takes the name back, and with it the file. Windows has no such thing. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function checked(content: string, path: string): string {
  readEncryptionKey(content, `The key file ${path}`);
  return content.trim();
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function writeDraft(path: string, content: string, mode: number): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  return draft;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
