import { Readable, Writable } from 'node:stream';
import { runProgram } from '../run.js';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line in this process, its words caught. */
export async function running(
  args: readonly string[],
  signal: AbortSignal = new AbortController().signal,
  stdin = '',
): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runProgram(args, {
    stdout: catching(out),
    stderr: catching(err),
    env: {},
    signal,
    stdin: Readable.from([stdin]),
  });
  return { code, out: out.join(''), err: err.join('') };
}

function catching(parts: string[]): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      parts.push(String(chunk));
      done();
    },
  });
}
