import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withFileLock } from './file-lock.mjs';

describe('the lock between processes', () => {
  let folder;
  let path;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mqtt2go-lock-'));
    path = join(folder, 'lock');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('lets one process in at a time and leaves nothing behind', async () => {
    const holder = join(folder, 'holder.mjs');
    const left = join(folder, 'left');
    const module = new URL('./file-lock.mjs', import.meta.url).href;
    await writeFile(
      holder,
      `import { writeFileSync } from 'node:fs';
       import { withFileLock } from '${module}';
       await withFileLock(${JSON.stringify(path)}, {}, async () => {
         process.send('in');
         await new Promise((resolve) => process.once('message', resolve));
         writeFileSync(${JSON.stringify(left)}, '');
       });
       process.disconnect();`,
    );
    const child = fork(holder);
    await once(child, 'message');
    const hadLeft = await withFileLock(path, { onWait: () => child.send('leave') }, async () => existsSync(left));
    expect(hadLeft).toBe(true);
    if (child.exitCode === null) await once(child, 'exit');
    expect((await readdir(folder)).sort()).toEqual(['holder.mjs', 'left']);
  });

  it('takes the lock of a process that is gone', async () => {
    const gone = fork(fileURLToPath(import.meta.url), { execArgv: ['--eval', ''], silent: true });
    await once(gone, 'exit');
    await writeFile(path, String(gone.pid));
    expect(await withFileLock(path, {}, async () => 'done')).toBe('done');
  });

  it('is free again after work that failed', async () => {
    const failing = withFileLock(path, {}, async () => {
      throw new Error('broken');
    });
    await expect(failing).rejects.toThrow('broken');
    expect(await readdir(folder)).toEqual([]);
  });
});
