import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataFolder } from './data-folder.js';

describe('the data folder', () => {
  let path: string;
  const opened: DataFolder[] = [];

  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'mqtt2go-folder-'));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((folder) => folder.close().catch(() => undefined)));
    await rm(path, { recursive: true, force: true });
  });

  const open = async (): Promise<DataFolder> => {
    const folder = await DataFolder.open(path, () => undefined);
    opened.push(folder);
    return folder;
  };
  /** As if another process had it: its parent, which runs for as long as this one. */
  const givenTo = async (identity: string): Promise<void> => {
    await open();
    await writeFile(join(path, 'lock.pid'), `${process.ppid} ${identity}`.trim());
  };
  const identityOf = async (pid: number): Promise<string> => {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return `${boot}:${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  };

  it('is refused while another process has it, whose number is told', async () => {
    await givenTo(await identityOf(process.ppid));
    await expect(open()).rejects.toMatchObject({
      code: 'data_folder_locked',
      message: expect.stringContaining(`process ${process.ppid}`),
    });
  });

  it.each(['', '\0\0\0', 'x'])('is taken from a process that said who it is by %j', async (content) => {
    await open();
    await writeFile(join(path, 'lock.pid'), content);
    await open();
    expect(await readFile(join(path, 'lock.pid'), 'utf8')).toContain(`${process.pid} `);
  });

  it('is taken from a process of before the machine was started, whose number another has now', async () => {
    const [, started] = (await identityOf(process.ppid)).split(':');
    await givenTo(`00000000-0000-0000-0000-000000000000:${started}`);
    await open();
    expect(await readFile(join(path, 'lock.pid'), 'utf8')).toBe(`${process.pid} ${await identityOf(process.pid)}\n`);
  });

  it('is taken from an earlier process with the same number, also when its lock is from the future', async () => {
    const [boot] = (await identityOf(process.ppid)).split(':');
    await givenTo(`${boot}:1`);
    const future = new Date(Date.now() + 86_400_000);
    await utimes(join(path, 'lock'), future, future);
    await open();
    expect(await readFile(join(path, 'lock.pid'), 'utf8')).toContain(`${process.pid} `);
  });
});
