import { clockFilePath, forgetLastKnownTime, readPlatformFile } from '@mqtt2go/config';
import { Mqtt2goError } from '@mqtt2go/protocol';
import type { Command } from 'commander';
import type { Context } from '../terminal/context.js';

export function resetCommand(command: Command, run: (action: (context: Context) => Promise<void>) => void): void {
  command
    .description('forget the last known time, after the clock of a stopped platform was wrongly in the future')
    .addHelpText(
      'after',
      `
The next start believes the system's clock: set it right first. Certificates
that were issued in the wrong future are not valid yet; devices that were added
then have to be added again.`,
    );
  run(reset);
}

async function reset({ terminal, dataDir }: Context): Promise<void> {
  const platform = await readPlatformFile(dataDir);
  if (platform !== undefined && isAlive(platform.pid)) {
    throw new Mqtt2goError('conflict', `Process ${platform.pid} runs on ${dataDir} and keeps the time; stop it first.`);
  }
  await forgetLastKnownTime(dataDir);
  terminal.result({ forgotten: clockFilePath(dataDir) }, () => 'The last known time is forgotten.');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
