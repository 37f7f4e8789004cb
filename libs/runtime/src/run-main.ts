import { Mqtt2goError } from '@mqtt2go/protocol';

/** What a program does until it is told to end. */
export interface Running {
  stop(): Promise<void>;
}

/** Of sysexits: an internal software error. */
const exitUnexpected = 70;
const stopTimeoutMs = 15_000;

/**
 * Runs a program until SIGINT or SIGTERM, then stops it; a second signal ends it at once. Exit codes: 0 stopped as
 * asked, 1 refused to start (a line on stderr says why), 70 a defect (with its stack), 128 + n forced by a signal.
 */
export function runMain(name: string, start: () => Promise<Running>): void {
  let stopping = false;
  const fail = (error: unknown): never => {
    report(name, error);
    return process.exit(error instanceof Mqtt2goError ? 1 : exitUnexpected);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);

  const starting = Promise.resolve().then(start);
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) {
      process.exit(signal === 'SIGINT' ? 130 : 143);
    }
    stopping = true;
    setTimeout(() => {
      process.stderr.write(`${name}: could not stop within ${stopTimeoutMs / 1_000} seconds\n`);
      process.exit(exitUnexpected);
    }, stopTimeoutMs).unref();
    starting.then((running) => running.stop()).then(() => process.exit(0), fail);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  starting.catch(fail);
}

function report(name: string, error: unknown): void {
  if (error instanceof Mqtt2goError) {
    for (const line of error.message.split('\n')) {
      process.stderr.write(`${name}: ${line}\n`);
    }
    return;
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${name}: something unexpected went wrong\n${detail}\n`);
}
