import { Mqtt2goError } from '@mqtt2go/protocol';
import { CommanderError } from 'commander';
import { createProgram } from './program.js';
import type { Surroundings } from './terminal/context.js';
import { adviceFor, exitCodeOf, exitCodes } from './terminal/exit-codes.js';

/**
 * Runs the command line once.
 * @param args without the program's name
 * @returns the exit code; whatever went wrong has been told on stderr
 */
export async function runProgram(args: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    await createProgram(surroundings).parseAsync([...args], { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    if (surroundings.signal.aborted) return exitCodes.interrupted;
    return tellError(error, surroundings, args.includes('--json'));
  }
}

function tellError(error: unknown, { stderr, stdout }: Surroundings, json: boolean): number {
  if (!(error instanceof Mqtt2goError)) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    stderr.write(`mqtt2go: something unexpected went wrong\n${detail}\n`);
    return exitCodes.defect;
  }
  const advice = adviceFor(error.code);
  if (json) stdout.write(`${JSON.stringify({ error: { code: error.code, detail: error.message } })}\n`);
  stderr.write(`mqtt2go: ${error.code}: ${error.message}${advice === '' ? '' : ` ${advice}`}\n`);
  return exitCodeOf(error.code);
}
