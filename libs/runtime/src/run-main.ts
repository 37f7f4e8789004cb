import { Mqtt2goError } from '@mqtt2go/protocol';
import { startTracing } from './tracing/start-tracing.js';

/** What a program does until it is told to end. */
export interface Running {
  stop(): Promise<void>;
}

/** Of sysexits: an internal software error. */
const exitUnexpected = 70;
const stopTimeoutMs = 15_000;
/** A start that waits for something (a broker, a database) cannot be stopped, only left. */
const startTimeoutMs = 3_000;

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

  let started = false;
  let stopTracing = async (): Promise<void> => undefined;
  const starting = startTracing(name, process.env)
    .then((stop) => {
      stopTracing = stop;
      return start();
    })
    .finally(() => {
      started = true;
    });
  const onSignal = (signal: NodeJS.Signals): void => {
    const forced = signal === 'SIGINT' ? 130 : 143;
    if (stopping) {
      process.exit(forced);
    }
    stopping = true;
    setTimeout(() => {
      if (!started) {
        process.exit(forced);
      }
    }, startTimeoutMs).unref();
    setTimeout(() => {
      process.stderr.write(`${name}: could not stop within ${stopTimeoutMs / 1_000} seconds\n`);
      process.exit(exitUnexpected);
    }, stopTimeoutMs).unref();
    starting.then(
      (running) =>
        running
          .stop()
          .then(stopTracing)
          .then(() => process.exit(0), fail),
      () => process.exit(forced),
    );
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // Ctrl-C reaches the programs that a start runs as well, and they fail of it.
  starting.catch((error: unknown) => (stopping ? undefined : fail(error)));
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
