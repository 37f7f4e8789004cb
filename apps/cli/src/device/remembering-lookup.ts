import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;
type Lookup = (host: string, options: LookupAllOptions, answer: Answer) => void;

const rememberedMs = 10_000;

/**
 * The system's resolver, asked once in a while for each host: thousands of devices look for the same two hosts, and each
 * time would cost a tenth of what a device costs. Failures are not remembered.
 * @param ask the resolver, {@link lookup} by default
 */
export function rememberingLookup(ask: Lookup = lookup, now: () => number = Date.now): LookupFunction {
  const remembered = new Map<string, { readonly addresses: LookupAddress[]; readonly untilMs: number }>();
  return (host, options, answer) => {
    const key = `${host} ${options.family ?? 0} ${options.hints ?? 0}`;
    const give = (addresses: LookupAddress[]): void => {
      const [first] = addresses;
      if (options.all === true) answer(null, addresses);
      else answer(null, first?.address ?? '', first?.family);
    };
    const known = remembered.get(key);
    if (known !== undefined && known.untilMs > now()) {
      // Sockets expect the answer after the call.
      process.nextTick(give, known.addresses);
      return;
    }
    ask(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        answer(error, '');
        return;
      }
      remembered.set(key, { addresses, untilMs: now() + rememberedMs });
      give(addresses);
    });
  };
}
