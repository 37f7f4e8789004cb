import { localBrokerHost, localBrokerService } from '@mqtt2go/protocol';
import { isLinkLocal, isReachable } from './local-addresses.js';
import { type MdnsMessage, type MdnsRecord, sameName } from './messages.js';

export interface MdnsQuestion {
  readonly name: string;
  readonly type: 'PTR' | 'SRV' | 'A' | 'AAAA';
}

/** A machine that says it is MQTT2GO.local. */
export interface FoundGateway {
  readonly port: number;
  /** At least one; IPv4 first, link-local IPv6 last and with its zone. */
  readonly addresses: readonly string[];
}

/** One answering machine at most needs a few; so many senders and names are kept. */
const maxSenders = 32;
const maxNames = 16;

interface Sender {
  readonly instances: Set<string>;
  readonly ports: Map<string, number>;
  readonly addresses: Set<string>;
}

const host = sameName(localBrokerHost);
const service = sameName(localBrokerService);

/**
 * Puts together what answers to a question for `_mqtt._tcp.local` say, whether in one message or in several: only services
 * whose SRV record points to MQTT2GO.local, from the machine that gives that name an address. All else is passed over.
 */
export class FoundGateways {
  readonly #senders = new Map<string, Sender>();
  readonly #allowLoopback: boolean;

  constructor(allowLoopback = false) {
    this.#allowLoopback = allowLoopback;
  }

  add(message: MdnsMessage): void {
    if (message.kind !== 'response') return;
    for (const record of message.records) this.#addRecord(record, message);
  }

  /** Those of which all is known, in the order in which they were heard. A machine that answers by IPv4 and IPv6 is one. */
  get found(): FoundGateway[] {
    const found: FoundGateway[] = [];
    for (const { ports, addresses } of this.#senders.values()) {
      const [port] = ports.values();
      if (port === undefined || addresses.size === 0) continue;
      const isKnown = found.some(
        (other) => other.port === port && other.addresses.some((address) => addresses.has(address)),
      );
      if (!isKnown) found.push({ port, addresses: [...addresses].sort((left, right) => rank(left) - rank(right)) });
    }
    return found;
  }

  /** What to ask next: the service as long as no machine is known, and what those that are known have left out. */
  get missing(): MdnsQuestion[] {
    if (this.found.length > 0) return [];
    const senders = [...this.#senders.values()];
    const unresolved = senders.filter(({ ports }) => ports.size === 0).flatMap(({ instances }) => [...instances]);
    const questions: MdnsQuestion[] = [{ name: localBrokerService, type: 'PTR' }];
    for (const name of unresolved.slice(0, maxNames)) questions.push({ name, type: 'SRV' });
    if (senders.some(({ ports, addresses }) => ports.size > 0 && addresses.size === 0))
      questions.push({ name: localBrokerHost, type: 'A' }, { name: localBrokerHost, type: 'AAAA' });
    return questions;
  }

  #addRecord(record: MdnsRecord, { from, interfaceName }: MdnsMessage): void {
    const sender = this.#sender(from);
    if (sender === undefined) return;
    const name = sameName(record.name);
    if (record.type === 'PTR') {
      const instance = sameName(record.data);
      if (name === service && instance.endsWith(`.${service}`)) put(sender.instances, instance, record.ttl);
    } else if (record.type === 'SRV') {
      if (!name.endsWith(`.${service}`)) return;
      const { port, target } = record.data;
      // Another broker of the house: of no interest, and not to be asked for again.
      if (sameName(target) !== host) sender.instances.delete(name);
      else if (record.ttl === 0) sender.ports.delete(name);
      else if (sender.ports.has(name) || sender.ports.size < maxNames) sender.ports.set(name, port);
    } else if (name === host && isReachable(record.data, this.#allowLoopback)) {
      const address = isLinkLocal(record.data) ? `${record.data}%${interfaceName}` : record.data;
      put(sender.addresses, address, record.ttl);
    }
  }

  #sender(from: string): Sender | undefined {
    const known = this.#senders.get(from);
    if (known !== undefined || this.#senders.size >= maxSenders) return known;
    const made: Sender = { instances: new Set(), ports: new Map(), addresses: new Set() };
    this.#senders.set(from, made);
    return made;
  }
}

/** A record with a time to live of 0 takes back what was said. */
function put(values: Set<string>, value: string, ttl: number): void {
  if (ttl === 0) values.delete(value);
  else if (values.size < maxNames) values.add(value);
}

function rank(address: string): number {
  if (!address.includes(':')) return 0;
  return isLinkLocal(address) ? 2 : 1;
}
