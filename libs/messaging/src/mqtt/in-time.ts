import { Mqtt2goError } from '@mqtt2go/protocol';

/**
 * What `work` comes to, if a broker lets it in time.
 * @param address the broker's
 * @throws Mqtt2goError `unavailable`, or whatever `work` rejects with
 */
export async function inTime<T>(work: Promise<T>, address: string, limitMs = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Mqtt2goError('unavailable', `no connection to ${address}`);
    timer = setTimeout(() => reject(error), limitMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
