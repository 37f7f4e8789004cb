import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Mqtt2goError } from '@mqtt2go/protocol';
import { z } from 'zod';
import { writeWhole } from './write-whole.js';

/** `<data>/clock.json`: the latest time that the platform knows to have been, for machines without a clock of their own. */
const clockFile = z.object({
  /** ISO 8601, UTC. */
  lastKnown: z.iso.datetime(),
});

export function clockFilePath(dataDir: string): string {
  return join(dataDir, 'clock.json');
}

/**
 * The last time that was stored in a data folder, Unix time in milliseconds; undefined if there is none.
 * @throws Mqtt2goError `configuration_invalid` when the file cannot be read as one
 */
export async function readLastKnownTime(dataDir: string): Promise<number | undefined> {
  const path = clockFilePath(dataDir);
  try {
    return Date.parse(clockFile.parse(JSON.parse(await readFile(path, 'utf8'))).lastKnown);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) {
      return undefined;
    }
    throw new Mqtt2goError('configuration_invalid', `${path} does not tell a time.`, { cause });
  }
}

/** Stores a time, whole or not at all. @param timeMs Unix time in milliseconds */
export async function writeLastKnownTime(dataDir: string, timeMs: number): Promise<void> {
  await writeWhole(clockFilePath(dataDir), `${JSON.stringify({ lastKnown: new Date(timeMs).toISOString() })}\n`);
}

/** Forgets the stored time: the next start believes the system's clock, if that can be right at all. */
export async function forgetLastKnownTime(dataDir: string): Promise<void> {
  await rm(clockFilePath(dataDir), { force: true });
}
