import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { z } from 'zod';

const run = promisify(execFile);
const notifyTimeoutMs = 10_000;

const environment = z.object({
  NOTIFY_SOCKET: z.string().min(1).optional(),
  WATCHDOG_USEC: z.coerce.number().int().positive().optional().catch(undefined),
  WATCHDOG_PID: z.coerce.number().int().positive().optional().catch(undefined),
});

/**
 * Tells systemd, if it has started this process as `Type=notify`, that everything is there; and with a watchdog, again and
 * again, that it still is, as long as `isWell` says so. By systemd's own program: Node.js has no datagrams on local sockets.
 * @returns the way to stop
 */
export async function tellServiceManager(
  env: Readonly<Record<string, string | undefined>>,
  isWell: () => Promise<boolean>,
  log: Logger,
): Promise<() => Promise<void>> {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdogUs, WATCHDOG_PID: watched } = environment.parse(env);
  if (socket === undefined) return async () => undefined;
  const notify = async (...words: string[]): Promise<void> => {
    try {
      await run('systemd-notify', words, { timeout: notifyTimeoutMs });
    } catch (error) {
      log.warn({ err: error, words }, 'the service manager could not be told');
    }
  };
  await notify('READY=1', 'STATUS=ready');
  const isWatched = watchdogUs !== undefined && (watched ?? process.pid) === process.pid;
  let feeding: Promise<void> | undefined;
  const feed = async (): Promise<void> => {
    if (await isWell()) await notify('WATCHDOG=1');
    else log.warn('the service manager is not told that all is well');
  };
  const timer =
    isWatched &&
    setInterval(() => {
      feeding ??= feed().finally(() => {
        feeding = undefined;
      });
    }, watchdogUs / 3_000).unref();
  return async () => {
    if (timer) clearInterval(timer);
    await feeding;
    await notify('STOPPING=1');
  };
}
