import { Command } from 'commander';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { Terminal } from './terminal.js';

/** What every command gets. */
export interface Context {
  readonly terminal: Terminal;
  /** Absolute path of the platform's data folder. */
  readonly dataDir: string;
  /** Aborted by Ctrl-C (SIGINT) and by SIGTERM. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<string | Uint8Array>;
}

/** What the program is run with. */
export interface Surroundings {
  readonly stdout: NodeJS.WritableStream & { isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Empty if left out. */
  readonly stdin?: AsyncIterable<string | Uint8Array>;
}

const globalOptions = z.object({
  data: z.string().optional(),
  json: z.boolean().default(false),
  quiet: z.boolean().default(false),
  color: z.boolean().default(true),
});

/** The context of a command, from the options of all commands above it. */
export function contextOf(
  command: Command,
  { stdout, stderr, env, signal, stdin = Readable.from([]) }: Surroundings,
): Context {
  const { data, json, quiet, color } = globalOptions.parse(command.optsWithGlobals());
  return {
    terminal: new Terminal({ stdout, stderr, env, json, quiet, color }),
    dataDir: resolve(data ?? env['MQTT2GO_DATA_DIR'] ?? './data'),
    signal,
    env,
    stdin,
  };
}
