import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgetLastKnownTime, readLastKnownTime, writeLastKnownTime } from './clock-file.js';

describe('the last known time', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-clock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is what was stored last, until it is forgotten', async () => {
    expect(await readLastKnownTime(folder)).toBeUndefined();
    await writeLastKnownTime(folder, Date.UTC(2027, 0, 1));
    await writeLastKnownTime(folder, Date.UTC(2027, 0, 2));
    expect(await readLastKnownTime(folder)).toBe(Date.UTC(2027, 0, 2));
    expect(await readdir(folder)).toEqual(['clock.json']);
    await forgetLastKnownTime(folder);
    expect(await readLastKnownTime(folder)).toBeUndefined();
    await forgetLastKnownTime(folder);
  });

  it.each(['', '{"lastKnown":"20', '{"lastKnown":2027}', '{"lastKnown":"yesterday"}', '\0\0\0'])(
    'cannot be read from %j, which is told',
    async (content) => {
      await writeFile(join(folder, 'clock.json'), content);
      await expect(readLastKnownTime(folder)).rejects.toMatchObject({ code: 'configuration_invalid' });
    },
  );
});
