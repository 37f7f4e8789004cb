import { Links, type MdnsMessage, type MdnsRecord, sameName } from '@mqtt2go/mdns';
import { localBrokerHost, localBrokerService } from '@mqtt2go/protocol';

const host = sameName(localBrokerHost);
const instance = sameName(`${localBrokerHost.split('.')[0]}.${localBrokerService}`);

/** No more are remembered, whoever makes them up. */
const maxNeighbours = 8;

interface Sighting {
  readonly address: string;
  /** Whether it said that it has the name, or only that it wants it. */
  readonly holds: boolean;
  readonly atMs: number;
}

/** Other machines on the link that have or want MQTT2GO.local, as far as they were heard. */
export class Neighbours {
  readonly #rememberMs: number;
  readonly #now: () => number;
  readonly #seen = new Map<string, Sighting>();

  constructor(rememberMs: number, now: () => number = () => performance.now()) {
    this.#rememberMs = rememberMs;
    this.#now = now;
  }

  /** @returns `goodbye` when somebody says that he gives the name up, `seen` when he has or wants it */
  hear({ kind, from, records }: MdnsMessage, links: Links): 'goodbye' | 'seen' | undefined {
    if (links.isOwn(from)) return undefined;
    const about = records.filter(isAboutTheName);
    if (about.length === 0) return undefined;
    if (kind === 'response' && about.every(({ ttl }) => ttl === 0)) {
      this.#seen.delete(from);
      return 'goodbye';
    }
    const known = this.#seen.get(from);
    if (known === undefined && this.#seen.size >= maxNeighbours) return undefined;
    this.#seen.set(from, { address: from, holds: kind === 'response', atMs: this.#now() });
    return 'seen';
  }

  /** Those that were heard lately. */
  addresses(which: 'all' | 'holders' = 'all'): string[] {
    this.forgetBefore(this.#now() - this.#rememberMs);
    return [...this.#seen.values()]
      .filter(({ holds }) => which === 'all' || holds)
      .map(({ address }) => address)
      .sort();
  }

  /** @param ms on the clock of `now` */
  forgetBefore(ms: number): void {
    for (const { address, atMs } of [...this.#seen.values()]) if (atMs < ms) this.#seen.delete(address);
  }
}

function isAboutTheName(record: MdnsRecord): boolean {
  const name = sameName(record.name);
  return record.type === 'SRV'
    ? name === instance && sameName(record.data.target) === host
    : record.type !== 'PTR' && name === host;
}
