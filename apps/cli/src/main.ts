import { runProgram } from './run.js';

const interrupting = new AbortController();
let signals = 0;
function onSignal(signal: NodeJS.Signals): void {
  // The second time somebody means it.
  if (++signals > 1) process.exit(signal === 'SIGINT' ? 130 : 143);
  interrupting.abort(new DOMException(`Interrupted by ${signal}.`, 'AbortError'));
}
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
// `mqtt2go ... | head` closes the pipe: there is nobody left to talk to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const { stdout, stderr, stdin, env } = process;
process.exitCode = await runProgram(process.argv.slice(2), { stdout, stderr, stdin, env, signal: interrupting.signal });
