import { Mqtt2goError } from '@mqtt2go/protocol';

/**
 * What `work` answers, if it does in time. What it does later, a rejection included, is of no interest.
 * @throws Mqtt2goError `timeout`, or whatever `work` throws
 */
export async function within<T>(limitMs: number, what: string, work: () => Promise<T> | T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Mqtt2goError('timeout', `${what} took more than ${limitMs} ms.`)), limitMs);
  });
  try {
    // The race takes the loser's rejection too, so that it never becomes an unhandled one.
    return await Promise.race([(async () => work())(), late]);
  } finally {
    clearTimeout(timer);
  }
}
