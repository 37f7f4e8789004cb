import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Debian's package `libfaketime`; undefined where it is not. */
const library = ['x86_64', 'aarch64']
  .map((arch) => `/usr/lib/${arch}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((file) => existsSync(file));

export const hasFakeTime = library !== undefined;

/** The system's clock of programs that have these variables. */
export class FakeTime {
  /** @param folder of the test's own */
  constructor(private readonly folder: string) {}

  get env(): Record<string, string> {
    return {
      TZ: 'UTC',
      LD_PRELOAD: library ?? '',
      FAKETIME_TIMESTAMP_FILE: join(this.folder, 'time'),
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** @param time when the clock is now; it goes on from there */
  async set(time: Date): Promise<void> {
    const said = `@${time.toISOString().slice(0, 19).replace('T', ' ')}\n`;
    await writeFile(join(this.folder, 'time.new'), said);
    await rename(join(this.folder, 'time.new'), join(this.folder, 'time'));
  }
}
